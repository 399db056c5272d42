# SPDX-License-Identifier: GPL-2.0-or-later
"""The rights of gradwatch while it watches: what the run can need of what root may do."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import logs
import pytest
from enforcing import actions, watch
from processes import Process

# A user who may not do what root may, but read the files of this test.
OTHER_USER = [
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
]

NUMBERS = {
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_KILL": 5,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
    "CAP_CHECKPOINT_RESTORE": 40,
}
ALWAYS = {
    "CAP_BPF",
    "CAP_PERFMON",
    "CAP_SYS_PTRACE",
    "CAP_DAC_READ_SEARCH",
    "CAP_CHECKPOINT_RESTORE",
}


def status_of(path):
    lines = Path(path, "status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def sets(capabilities):
    return sum(1 << NUMBERS[name] for name in capabilities)


def own_rights():
    return int(status_of("/proc/self")["CapPrm"], 16)


def expected(binary, extra=()):
    """Of those we have; priority takes a right only where its limit cannot be raised."""
    doctor = subprocess.run([binary, "doctor"], stdout=subprocess.PIPE, text=True)
    wanted = ALWAYS | set(extra)
    paranoid = int(Path("/proc/sys/kernel/perf_event_paranoid").read_text())
    if "uprobe_multi: yes" not in doctor.stdout or paranoid > 2:
        wanted.add("CAP_SYS_ADMIN")
    if not own_rights() >> NUMBERS["CAP_SYS_RESOURCE"] & 1:
        wanted.add("CAP_SYS_NICE")
    return sets(wanted) & own_rights()


def check(monitor, wanted):
    """All threads have these rights, and can get no others."""
    for thread in Path(f"/proc/{monitor.pid}/task").iterdir():
        status = status_of(thread)
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(status[name], 16) == wanted, (name, status[name])
        assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
        assert status["NoNewPrivs"] == "1"


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize(
    "options,extra",
    [
        ((), ()),
        (("--log", "log"), ()),
        (("--on-violation", "hold"), ("CAP_KILL", "CAP_SYS_RESOURCE")),
    ],
)
def test_what_stays(binary, puppet, gradwatch, tmp_path, options, extra):
    process = puppet("--bare")
    monitor = gradwatch("--pid", process.pid, *options, cwd=tmp_path).armed()
    wanted = expected(binary, extra)
    check(monitor, wanted)
    for watchdog in children_of(monitor.pid):
        assert int(status_of(f"/proc/{watchdog}")["CapBnd"], 16) == wanted
    monitor.signal(signal.SIGINT)
    monitor.wait()


@pytest.mark.parametrize("owner,extra", [(0, ()), (65534, ("CAP_DAC_OVERRIDE",))])
def test_log_goes_on(binary, puppet, gradwatch, tmp_path, owner, extra):
    """Segments are made, compressed and removed later; in the folder of sudo's caller that takes a
    right."""
    log = tmp_path / "log"
    log.mkdir(0o700)
    os.chown(log, owner, owner)
    process = puppet()
    caller = os.environ | {"SUDO_UID": str(owner), "SUDO_GID": str(owner)}
    options = ("--log", log, "--log-rotate", "records=3,keep=2")
    monitor = gradwatch("--pid", process.pid, *options, env=caller).armed()
    check(monitor, expected(binary, extra))
    process.tell("loop 5")
    process.end()
    assert monitor.wait() == 0
    assert "cannot" not in monitor.stderr
    names = [path.name for path in logs.segments(log)]
    assert len(names) <= 3 and all(name.endswith(".jsonl.zst") for name in names)
    assert "-000001." not in names[0]
    records, damaged = logs.records_of(logs.data_of(log / names[-1]))
    assert not damaged
    assert records[0]["removed"] > 0 and records[-1]["reason"] == "end"


def test_command_has_what_gradwatch_was_given(binary, gradwatch):
    """Its rights and limits are those of a program that is started without gradwatch."""
    script = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status; ulimit -l; ulimit -e; ulimit -n; nice"
    alone = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    monitor = gradwatch("--", "bash", "-c", script).finish()
    assert monitor.other == alone.stdout.splitlines()


def test_command_of_another_user_is_signalled(gradwatch):
    """To signal it takes CAP_KILL, which is not dropped then."""
    change = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    script = "trap 'echo got; exit 7' TERM; echo up; while :; do sleep 0.1; done"
    monitor = gradwatch("--", *change, "sh", "-c", script).armed()
    assert monitor.line() == "up"
    monitor.signal(signal.SIGTERM)
    assert monitor.line() == "got"
    monitor.status = monitor.wait()
    assert monitor.status == 7


def test_later_files_of_another_user(any_target, gradwatch, tmp_path):
    """
    What files that are mapped later take was not dropped: another user's process, and its library
    in a folder that only its owner may enter.
    """
    folder = tmp_path / "private"
    folder.mkdir()
    copy = folder / "libc10.so"
    shutil.copy(any_target.libc10(), copy)
    folder.chmod(0o700)
    os.chown(folder, 65533, 65533)
    monitor = gradwatch("--all").armed()
    script = "import ctypes, sys; ctypes.CDLL(sys.argv[1], 0x101); print('up'); sys.stdin.read()"
    process = Process([*OTHER_USER, sys.executable, "-u", "-c", script, copy])
    found = monitor.wait_for(lambda e: e["type"] == "attached" and e["pid"] == process.pid)
    assert found["uid"] == 65534 and found["torch"]["file"] == str(copy)
    monitor.signal(signal.SIGINT)
    monitor.wait()


def test_deleted_file(any_target, gradwatch, tmp_path):
    """A file that has no name any more is opened through its mapping."""
    copy = tmp_path / "libc10.so"
    shutil.copy(any_target.libc10(), copy)
    script = "import ctypes, sys; ctypes.CDLL(sys.argv[1], 0x101); print('up'); sys.stdin.read()"
    process = Process([*OTHER_USER, sys.executable, "-u", "-c", script, copy])
    assert process.line() == "up"
    copy.unlink()
    monitor = gradwatch("--pid", process.pid).armed()
    assert monitor.of_type("attached")
    monitor.signal(signal.SIGINT)
    monitor.wait()


@pytest.mark.parametrize("action", ["raise", "hold", "signal:USR1"])
def test_acts_in_processes_of_another_user(enforced, gradwatch, action):
    """What it takes to stop, trace, continue and signal them was not dropped."""
    process = enforced("forms" if action == "raise" else "uncaught", wrapper=OTHER_USER)
    limit = ("--hold-timeout", 1) if action == "hold" else ()
    monitor = watch(gradwatch, process, "--on-violation", action, *limit)
    process.go()
    status = process.wait()
    monitor.finish()
    assert status == (-signal.SIGUSR1 if action == "signal:USR1" else 0), process.stderr
    assert actions(monitor, "performed") and not actions(monitor, "refused")
    assert len(actions(monitor, "let_go")) == (action == "hold")
    assert actions(monitor)[0]["uid"] == 65534


def test_doctor_says_what_is_kept(binary):
    told = subprocess.run([binary, "doctor"], stdout=subprocess.PIPE, text=True).stdout
    (line,) = [line for line in told.splitlines() if line.startswith("capabilities")]
    named = {name for name in NUMBERS if name in line}
    assert sets(named) == expected(binary) & ~sets({"CAP_SYS_NICE"})
