# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input: one line with the cause and the fix, exit status 2, never a crash."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import DEADLINE, Process

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
MAP_A_FILE = """
import mmap, sys
file = open(sys.argv[1], "rb")
kind = {"prot": mmap.PROT_READ | mmap.PROT_EXEC, "flags": mmap.MAP_PRIVATE}
mapping = mmap.mmap(file.fileno(), 0, **kind)
print("up", flush=True)
sys.stdin.read()
"""
E_MACHINE = 18  # offset in the ELF header
EM_AARCH64 = 183
EM_386 = 3
EM_X86_64 = 62


def run(binary, *arguments, prefix=(), timeout=60, **options):
    return subprocess.run(
        [*prefix, str(binary), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout,
        **options,
    )


def error_of(result):
    """The one line on standard error of a refused call."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("gradwatch: error: ")
    assert line.isprintable()
    return line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "whom to watch?"),
        (["--nonsense"], "--nonsense"),
        (["-x"], "-x"),
        (["--pid"], "--pid needs a value"),
        (["--pid", "abc"], "'abc'"),
        (["--pid", "-1"], "'-1'"),
        (["--pid", "0"], "'0'"),
        (["--pid", "12x"], "'12x'"),
        (["--pid", ""], "''"),
        (["--pid", "1.5"], "'1.5'"),
        (["--pid", "99999999999999999999"], "'99999999999999999999'"),
        (["--pid", "4194304"], "no process 4194304"),
        (["--pid", "\x1b[31m"], r"\x1b[31m"),
        (["--idle", "0", "--all"], "'0'"),
        (["--idle", "nan", "--all"], "'nan'"),
        (["--log", "--all"], "whom to watch?"),
        (["--all", "--pid", "1"], "exclude each other"),
        (["--all", "--", "true"], "exclude each other"),
        (["--"], "no command"),
        (["true"], "gradwatch -- true"),
        (["doctor", "a", "b"], "one file"),
        (["doctor", "--pid", "1", "file"], "one of them"),
        (["doctor", "/nonexistent"], "No such file"),
        (["doctor", "/"], "/"),
        (["doctor", "/dev/null"], "/dev/null"),
        (["doctor", "--pid", "4194304"], "no process 4194304"),
        (["doctor", "--json"], "--json is not for doctor: it is for watching, report and status"),
        (["--json=1", "--all"], "--json takes no value"),
        (["-o", "/nonexistent/file", "--all"], "'/nonexistent/file': No such file"),
    ],
)
def test_bad_arguments(binary, arguments, told):
    assert told in error_of(run(binary, *arguments))


def test_process_that_ended(binary):
    child = subprocess.Popen(["true"])
    child.wait()
    for arguments in (["--pid", child.pid], ["doctor", "--pid", child.pid]):
        assert f"no process {child.pid}" in error_of(run(binary, *arguments))


def test_process_that_ended_but_is_not_reaped(binary):
    """Its number still exists, but nothing will ever happen there."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    error_of(run(binary, "--pid", child.pid))
    child.wait()


LEADERLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall(60, 0)  # the leader's thread alone
"""


def test_process_whose_leader_has_ended(gradwatch):
    """Its state is that of one that waits to be reaped, but its other threads run."""
    process = Process([sys.executable, "-c", LEADERLESS])
    assert process.line() == "ready"
    status = Path(f"/proc/{process.pid}/status")
    end = time.monotonic() + DEADLINE
    while "State:\tZ" not in status.read_text():
        assert time.monotonic() < end, "the leader did not end"
    monitor = gradwatch("--pid", process.pid).armed()
    monitor.stop()


def test_one_of_several_processes_is_wrong(binary, puppet):
    process = puppet("--bare")
    result = run(binary, "--pid", process.pid, "--pid", 4194304)
    assert result.returncode == 2
    (line,) = [line for line in result.stderr.splitlines() if "error" in line]
    assert "no process 4194304" in line


def test_thread_for_a_process(binary, puppet):
    process = puppet()
    tid = process.tell("@thread set 1")["tid"]
    line = error_of(run(binary, "--pid", tid))
    assert f"{tid} is a thread of process {process.pid}" in line


@pytest.mark.parametrize("arguments", [["--all"], ["--pid", "1"], ["--", "true"]])
def test_not_root(binary, tmp_path, arguments):
    # The binary may be where nobody may go.
    copy = tmp_path / "gradwatch"
    copy.write_bytes(binary.read_bytes())
    copy.chmod(0o755)
    fd = os.open(copy, os.O_RDONLY)
    line = error_of(run(f"/proc/self/fd/{fd}", *arguments, prefix=NOBODY, pass_fds=[fd]))
    os.close(fd)
    assert "CAP_" in line and "root" in line


def test_capability_that_root_lacks(binary):
    drop = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]
    line = error_of(run(binary, "--all", prefix=drop))
    assert "CAP_SYS_PTRACE" in line


def test_process_without_libtorch(gradwatch):
    """It may load it later, so it is watched; that nothing was seen is told."""
    sleeper = Process(["sleep", "1000"])
    monitor = gradwatch("--pid", sleeper.pid).armed()
    assert f"process {sleeper.pid} has no libtorch mapped" in monitor.stderr
    monitor.stop()
    assert monitor.status in (0, 2)
    assert "nothing was seen" in monitor.stderr
    assert not monitor.of_type("attached")


def test_process_that_ends_without_libtorch(gradwatch):
    sleeper = Process(["sleep", "1000"])
    monitor = gradwatch("--pid", sleeper.pid).armed()
    sleeper.signal(signal.SIGKILL)
    sleeper.popen.wait()
    assert monitor.finish().status in (0, 2)


def test_doctor_without_libtorch(binary):
    sleeper = Process(["sleep", "1000"])
    assert "no libtorch" in error_of(run(binary, "doctor", "--pid", sleeper.pid))


# --- hostile files -------------------------------------------------------------------------------


@pytest.fixture
def library(any_target):
    return any_target.libc10().read_bytes()


def doctor(binary, tmp_path, data, name="libc10.so"):
    path = tmp_path / name
    path.write_bytes(data)
    return run(binary, "doctor", path)


def patched(data, offset, form, value):
    changed = bytearray(data)
    struct.pack_into(form, changed, offset, value)
    return bytes(changed)


@pytest.mark.parametrize("length", [0, 1, 4, 16, 63, 64, 1000, 4096, 100000])
def test_truncated_file(binary, tmp_path, library, length):
    error_of(doctor(binary, tmp_path, library[:length]))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_late(binary, tmp_path, library, share):
    """Sections are at the end: the file may still be read, but never a crash or a guess."""
    result = doctor(binary, tmp_path, library[: int(len(library) * share)])
    if result.returncode:
        error_of(result)


@pytest.mark.parametrize("machine", [EM_386, 0xFFFF])
def test_other_architecture(binary, tmp_path, library, machine):
    line = error_of(doctor(binary, tmp_path, patched(library, E_MACHINE, "<H", machine)))
    assert "architecture" in line or "x86" in line


def test_text_and_noise(binary, tmp_path, library):
    error_of(doctor(binary, tmp_path, b"#!/bin/sh\necho hello\n"))
    error_of(doctor(binary, tmp_path, b"\x7fELF" + b"\xff" * 4096))
    error_of(doctor(binary, tmp_path, library[:64] + b"\xff" * 65536))


def test_symbols_missing(binary):
    """A library, but not that one."""
    line = error_of(run(binary, "doctor", "/bin/true"))
    assert "set_enabled" in line or "symbol" in line


def test_another_library_of_pytorch(binary, any_target):
    """The one with the setter is named."""
    directory = any_target.libc10().parent
    (other,) = [path for path in directory.glob("libtorch_cpu.so*") if not path.is_symlink()]
    line = error_of(run(binary, "doctor", other))
    assert "larger than 64 MiB" in line
    if (directory / "libc10.so").exists():
        assert line.endswith(f"the setter is in {directory}/libc10.so")


def test_hostile_headers(binary, tmp_path, library):
    """Each field of the header in turn, at its ends."""
    for offset, form in ((32, "<Q"), (40, "<Q"), (54, "<H"), (56, "<H"), (58, "<H"), (60, "<H")):
        top = (1 << (8 * struct.calcsize(form))) - 1
        for value in (0, 1, top // 2, top):
            result = doctor(binary, tmp_path, patched(library, offset, form, value))
            assert result.returncode in (0, 2), (offset, value, result)


def test_hostile_name_of_a_file(binary, tmp_path):
    line = error_of(doctor(binary, tmp_path, b"", name="\x1b[31m\nlibc10.so"))
    assert r"\x1b[31m\x0alibc10.so" in line


def skipped_library(library, gradwatch, puppet, tmp_path):
    """What is told of one that a process maps under the right name; the rest goes on."""
    fake = tmp_path / "libc10.so"
    fake.write_bytes(library)
    holder = Process([sys.executable, "-c", MAP_A_FILE, fake])
    assert holder.line() == "up", holder.stderr
    process = puppet()
    monitor = gradwatch("--pid", holder.pid, "--pid", process.pid).armed()
    process.tell("loop 1")
    monitor.wait_for("change", 2)
    monitor.stop()
    (skipped,) = monitor.of_type("skipped")
    assert skipped["pid"] == holder.pid
    assert skipped["torch"]["file"] == str(fake)
    return skipped["reason"]


def test_hostile_library_in_a_process(any_target, gradwatch, puppet, tmp_path):
    library = patched(any_target.libc10().read_bytes()[:65536], 40, "<Q", 2**63)
    assert skipped_library(library, gradwatch, puppet, tmp_path)


def test_library_of_another_processor(library, gradwatch, puppet, tmp_path):
    """It can be inspected, and not watched."""
    own = os.uname().machine
    machine = {"x86_64": EM_AARCH64, "aarch64": EM_X86_64}[own]
    reason = skipped_library(
        patched(library, E_MACHINE, "<H", machine), gradwatch, puppet, tmp_path
    )
    assert reason.startswith("built for ") and reason.endswith(f"this gradwatch is for {own}")


PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
RIGHTS = ["bpf", "perfmon", "sys_ptrace", "dac_read_search"]


def without_root(rights):
    """What runs a command as nobody with these capabilities."""
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    wanted = ",".join(f"+{name}" for name in rights)
    return [*drop, f"--inh-caps={wanted}", f"--ambient-caps={wanted}"]


def has_uprobe_multi(binary):
    doctor = subprocess.run([binary, "doctor"], stdout=subprocess.PIPE, text=True)
    return "uprobe_multi: yes" in doctor.stdout


def test_without_root(puppet, binary, tmp_path_factory):
    """To report takes four capabilities, where uprobes are no perf events."""
    folder = tmp_path_factory.mktemp("bin")
    for path in (folder, folder.parent):
        path.chmod(0o755)
    copy = shutil.copy(binary, folder)  # nobody may not look into every checkout
    process = puppet()
    argv = [*without_root(RIGHTS), copy, "--pid", str(process.pid), "--json"]
    monitor = Process(argv)
    if not has_uprobe_multi(binary):
        assert monitor.wait() == 2
        assert "missing capability CAP_SYS_ADMIN" in monitor.stderr
        return
    line = monitor.line()
    if line is None:  # Debian's and Ubuntu's kernels keep perf events from others by a setting
        assert monitor.wait() == 2
        assert int(PARANOID.read_text()) > 2 and "perf_event_paranoid" in monitor.stderr
        return
    events = [json.loads(line)]
    while not any(event["type"] == "start" for event in events):
        events.append(json.loads(monitor.line()))
    process.run("trace", "set 0", "set 1", "end")
    process.end()
    events += map(json.loads, monitor.rest())
    assert monitor.wait() == 0, monitor.stderr
    assert [event["to"] for event in events if event["type"] == "change"] == [False, True]
    (finding,) = [event for event in events if event["type"] == "finding"]
    assert finding["stack_status"] == "whole" and finding["stack"]


@pytest.mark.parametrize("right", RIGHTS[:3])
def test_missing_right(binary, puppet, tmp_path_factory, right):
    """The one that is missing is named."""
    folder = tmp_path_factory.mktemp("bin")
    for path in (folder, folder.parent):
        path.chmod(0o755)
    copy = shutil.copy(binary, folder)
    process = puppet("--bare")
    others = [name for name in RIGHTS if name != right]
    argv = [*without_root(others), copy, "--pid", str(process.pid)]
    monitor = Process(argv)
    assert monitor.wait() == 2
    assert f"missing capability CAP_{right.upper()}: run as root" in monitor.stderr
