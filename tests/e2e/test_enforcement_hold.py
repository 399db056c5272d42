# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that are held, and what lets them go."""

import os
import signal
import subprocess
import time

import pytest
from enforcing import actions, held, state_of, wait_until, watch, watchdog_of


def test_hold_and_release(target, enforced, gradwatch, binary):
    process = enforced("uncaught", on=target)
    monitor = watch(gradwatch, process, "--on-violation", "hold")
    process.go()
    held(monitor, process)
    done = subprocess.run([binary, "release", str(process.pid)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"process {process.pid} goes on\n")
    assert process.wait() == 0, process.stderr
    monitor.finish()
    outcomes = [event["outcome"] for event in actions(monitor)]
    assert outcomes == ["performed", "let_go"]
    # The change is told first, then what is done about it.
    types = [event["type"] for event in monitor.events]
    assert types.index("change") < types.index("action")
    # Released, the change is made.
    assert [(event["from"], event["to"]) for event in monitor.violations] == [(True, False)]


def test_release_what_is_not_held(enforced, binary):
    process = enforced("uncaught")
    for pid, why in ((process.pid, "is not held by gradwatch"), (4194303, "no process 4194303")):
        done = subprocess.run([binary, "release", str(pid)], capture_output=True, text=True)
        assert done.returncode == 2 and why in done.stderr
    done = subprocess.run([binary, "release"], capture_output=True, text=True)
    assert done.returncode == 2 and "release whom?" in done.stderr


def test_hold_timeout(enforced, gradwatch):
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "hold", "--hold-timeout", 1)
    process.go()
    held(monitor, process)
    assert process.wait() == 0
    monitor.finish()
    (_, over) = actions(monitor)
    assert over["outcome"] == "let_go" and over["duration_ns"] >= 1_000_000_000


def test_killed_while_held(enforced, gradwatch):
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "hold")
    process.go()
    held(monitor, process)
    process.signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    monitor.finish()
    assert actions(monitor)[-1]["detail"] == "it has ended"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_gradwatch_ends_while_holding(enforced, gradwatch, number):
    """Whatever ends gradwatch, the target goes on: for SIGKILL that is the watchdog's work."""
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "hold")
    process.go()
    held(monitor, process)
    watchdog = watchdog_of(monitor)
    monitor.signal(number)
    assert process.wait(20) == 0, process.stderr
    status = monitor.wait()
    assert status == (-number if number == signal.SIGKILL else 0)
    wait_until(lambda: state_of(watchdog) is None)


def test_watchdog_killed(enforced, gradwatch):
    """It is replaced, and the other one does its work."""
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "hold")
    process.go()
    held(monitor, process)
    first = watchdog_of(monitor)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: watchdog_of(monitor) not in (None, first))
    wait_until(lambda: "the watchdog had ended" in monitor.stderr)
    monitor.signal(signal.SIGKILL)
    assert process.wait(20) == 0, process.stderr


def stop_gradwatch(monitor):
    monitor.signal(signal.SIGSTOP)
    wait_until(lambda: state_of(monitor.pid) == "T")


def test_gradwatch_stopped_while_holding(enforced, gradwatch):
    """It does not answer: the watchdog continues the process when its time is over."""
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "hold", "--hold-timeout", 1)
    process.go()
    held(monitor, process)
    stop_gradwatch(monitor)
    assert process.wait(30) == 0, process.stderr
    monitor.signal(signal.SIGCONT)
    monitor.finish()
    first, over = actions(monitor)
    assert first["outcome"] == "performed" and over["outcome"] == "let_go"
    assert over["detail"] in ("its time is over", "it has ended")
    assert over["duration_ns"] >= 1_000_000_000


def test_gradwatch_stopped_while_asked(enforced, gradwatch):
    """
    The same where it is asked whether to raise. The call is made, that is told, and nothing is said
    to have been raised. With a mode for torch functions it comes by the binding twice: 3 s each.
    """
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    stop_gradwatch(monitor)
    process.go()
    assert process.wait(30) == 0, process.stderr
    monitor.signal(signal.SIGCONT)
    monitor.finish()
    *asked, at_setter = actions(monitor)
    assert asked and {event["detail"] for event in asked} == {"it has ended"}
    assert "not made by a call of torch._C" in at_setter["detail"]
    for event in actions(monitor):
        assert (event["outcome"], event["fallback"]) == ("refused", "report")
    assert [(event["from"], event["to"]) for event in monitor.violations] == [(True, False)]
    assert monitor.of_type("finding")


def test_hold_without_first_thread(enforced, gradwatch):
    """The first thread has ended: the process is held all the same, and goes on in time."""
    process = enforced("leaderless")
    monitor = watch(gradwatch, process, "--on-violation", "hold", "--hold-timeout", 2)
    process.go()
    assert process.line() == "alone"
    wait_until(lambda: state_of(process.pid) == "Z")
    process.send("")
    monitor.wait_for(lambda event: event["type"] == "action")
    over = monitor.wait_for("action", 2)
    assert (over["outcome"], over["detail"]) == ("let_go", "its time is over")
    assert process.line() == "done"
    monitor.stop()


def test_own_stop_is_kept(enforced, gradwatch, binary):
    """Somebody stops a held process: released, it stays stopped for them."""
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "hold", "--hold-timeout", 1)
    process.go()
    held(monitor, process)
    process.signal(signal.SIGSTOP)
    over = monitor.wait_for("action", 2)
    assert (over["outcome"], over["detail"]) == ("let_go", "its time is over")
    time.sleep(0.1)
    assert state_of(process.pid) == "T"
    process.signal(signal.SIGCONT)
    assert process.wait() == 0
    monitor.finish()


def test_hold_with_a_thread_that_no_signal_reaches(enforced, gradwatch):
    """Another thread waits in the kernel for a child: the one that violates is held."""
    process = enforced("spawning", 2)
    monitor = watch(gradwatch, process, "--on-violation", "hold", "--hold-timeout", 1)
    process.go()
    assert [one["after"] for one in process.attempts()] == [False] * 2
    assert process.wait() == 0, process.stderr
    monitor.finish()
    outcomes = [(event["outcome"], event["detail"]) for event in actions(monitor)]
    assert outcomes == [("performed", None), ("let_go", "its time is over")] * 2
    assert all(event["duration_ns"] >= 1_000_000_000 for event in actions(monitor, "let_go"))
