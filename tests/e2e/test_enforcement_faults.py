# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong while gradwatch acts: nobody stays stopped or traced, and results are right."""

import contextlib
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from enforcing import actions, held, state_of, threads_of, wait_until, watch, watchdog_of
from mapping import MAP_FILES
from processes import Process

HOLD = 2  # seconds: --hold-timeout
BUSY = 30  # seconds
HOLDING = ("--on-violation", "hold", "--hold-timeout", HOLD)


def goes_on(process, since, within):
    """It ends by itself, with its result right, in time; a busy machine takes longer to end it."""
    assert process.wait(since + within + BUSY - time.monotonic()) == 0, process.stderr
    return time.monotonic() - since


# --- no descriptors ------------------------------------------------------------------------------


@contextlib.contextmanager
def no_descriptors(monitor):
    """Neither gradwatch nor its watchdog can open anything."""
    pids = [monitor.pid]
    pids += map(int, Path(f"/proc/{monitor.pid}/task/{monitor.pid}/children").read_text().split())
    limits = [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids]
    for pid, (_, hard) in zip(pids, limits):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, hard))
    yield
    for pid, before in zip(pids, limits):
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_held_and_no_descriptors(enforced, gradwatch):
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, *HOLDING)
    process.go()
    held(monitor, process)
    began = time.monotonic()
    with no_descriptors(monitor):
        goes_on(process, began, HOLD + 2)
    monitor.finish()
    assert [event["outcome"] for event in actions(monitor)] == ["performed", "let_go"]
    assert [(event["from"], event["to"]) for event in monitor.violations] == [(True, False)]


@pytest.mark.parametrize("action", [("hold", "--hold-timeout", HOLD), ("raise",)])
def test_violation_and_no_descriptors(enforced, gradwatch, action):
    """What is asked when nothing can be opened: refused with that cause, and the call is made."""
    process = enforced("many", 2)
    monitor = watch(gradwatch, process, "--on-violation", *action)
    with no_descriptors(monitor):
        process.go()
        attempts = process.attempts()
        assert process.wait() == 0, process.stderr
    monitor.finish()
    assert [one["error"] for one in attempts] == [""] * 2
    assert [one["after"] for one in attempts] == [False] * 2
    assert actions(monitor) and actions(monitor, "refused") == actions(monitor)
    assert len(monitor.violations) == 4


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_watchdog_without_descriptors(enforced, gradwatch):
    """It waits as at other times, sees that gradwatch is killed, lets the target go, and ends."""
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "hold", "--hold-timeout", 60)
    process.go()
    held(monitor, process)
    watchdog = watchdog_of(monitor)
    with no_descriptors(monitor):
        before = cpu_seconds(watchdog)
        time.sleep(2)
        assert cpu_seconds(watchdog) - before < 1
        monitor.signal(signal.SIGKILL)
        assert process.wait() == 0, process.stderr
    wait_until(lambda: state_of(watchdog) is None)


# --- no signals ----------------------------------------------------------------------------------


@contextlib.contextmanager
def failing_kills(pid, when):
    """kill(2) fails in one process, but not in its watchdog; strace's `when` says which calls."""
    inject = ["-e", "trace=kill", "-e", f"inject=kill:error=EPERM:when={when}"]
    strace = Process(["strace", "-qq", "-o", "/dev/null", *inject, "-p", str(pid)])
    wait_until(lambda: f"TracerPid:\t{strace.pid}\n" in Path(f"/proc/{pid}/status").read_text())
    yield
    strace.signal(signal.SIGINT)
    strace.wait()


@pytest.mark.parametrize("when, late", [("1..4", 0.5), ("1+", 1.5)], ids=["some", "all"])
def test_held_and_no_signals(enforced, gradwatch, when, late):
    """It is tried again; and if gradwatch never can, then its watchdog does it."""
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, *HOLDING)
    process.go()
    held(monitor, process)
    began = time.monotonic()
    with failing_kills(monitor.pid, when):
        took = goes_on(process, began, HOLD + late + 2)
        assert took > HOLD - 0.5
    monitor.finish()
    (_, over) = actions(monitor)
    assert over["outcome"] == "let_go"


def test_no_signals_to_other_users(binary):
    """Without CAP_KILL a process of another user could be stopped, but not let go."""
    drop = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill"]
    argv = [*drop, binary, "--pid", str(os.getpid()), "--on-violation", "hold"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "CAP_KILL" in done.stderr, done


# --- hostile files -------------------------------------------------------------------------------


def hostile_files(any_target, folder):
    """Damaged at each field of the ELF header, in libraries of both names."""
    directory = any_target.libc10().parent
    paths = []
    for name in ("libc10.so", "libtorch_python.so"):
        data = (directory / name).read_bytes()
        for offset, form in ((24, "<Q"), (32, "<Q"), (40, "<Q"), (56, "<H"), (60, "<H")):
            changed = bytearray(data)
            struct.pack_into(form, changed, offset, (1 << (8 * struct.calcsize(form) - 1)) + 64)
            paths.append(folder / f"{name}.{offset}" / name)
            paths[-1].parent.mkdir()
            paths[-1].write_bytes(changed)
    return paths


@pytest.mark.parametrize("release", [True, False])
def test_held_and_hostile_files(any_target, enforced, gradwatch, binary, tmp_path, release):
    """They are looked at while a process is held: it is let go in time, and by hand."""
    paths = hostile_files(any_target, tmp_path)
    mapper = Process(["sh", "-c", 'read go && exec "$@"', "sh", sys.executable, "-c", MAP_FILES,
                      *map(str, paths)])  # fmt: skip
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--pid", mapper.pid, *HOLDING)
    process.go()
    held(monitor, process)
    began = time.monotonic()
    mapper.send("go")
    assert mapper.line() == "up", mapper.stderr
    if release:
        subprocess.run([binary, "release", str(process.pid)], check=True, timeout=10)
    took = goes_on(process, began, HOLD + 2)
    assert release or took > HOLD - 1
    monitor.wait_for("skipped")  # before the mapper ends
    mapper.close_stdin()
    monitor.finish()
    over = actions(monitor)[-1]
    assert over["outcome"] == "let_go"
    assert over["detail"] != "its time is over" or not release


# --- an end --------------------------------------------------------------------------------------


def test_interrupted_while_raising(enforced, gradwatch):
    """SIGINT in the midst of many raises: each call raised or was made, and the process goes on."""
    process = enforced("many", 5000)
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    monitor.wait_for("action", 200)
    monitor.stop()
    assert all(state not in "Tt" and not tracer for state, tracer in threads_of(process.pid))
    attempts = process.attempts()
    assert process.wait() == 0, process.stderr  # which includes that its graph is right
    raised = [one for one in attempts if one["error"]]
    assert len(attempts) == 5000 and 200 <= len(raised) < 5000
    for one in raised:
        assert one["error"] == "RuntimeError" and one["after"] is one["before"] is True
    for one in attempts[len(raised) :]:
        assert (one["error"], one["after"]) == ("", False)
    assert len(actions(monitor, "performed")) == len(raised)
