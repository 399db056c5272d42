# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals before a change, and after it."""

import signal

import pytest
from enforcing import actions, state_of, wait_until, watch


@pytest.mark.parametrize("action", ["kill", "signal:TERM", "signal:USR1"])
def test_ended_before_the_change(target, enforced, gradwatch, action):
    """The first violation of a trace is asked about, the later ones are BPF's own."""
    process = enforced("many", 5, on=target)
    monitor = watch(gradwatch, process, "--on-violation", action)
    process.go()
    number = signal.SIGKILL if action == "kill" else getattr(signal, "SIG" + action[7:])
    assert process.wait() == -number
    assert process.rest() == [None][:0]  # it got no further
    monitor.finish()
    (event,) = actions(monitor)
    assert event["outcome"] == "performed" and event["signal"] == number
    assert event["action"] == action.split(":")[0]
    assert monitor.of_type("finding") == []  # no change was made
    (trace,) = monitor.of_type("trace_end")[-1:]
    assert trace["changes"] == 1


def paused(enforced, gradwatch, *arguments):
    """In the middle of a trace, of which user space has told BPF the kind."""
    process = enforced("pause")
    monitor = watch(gradwatch, process, *arguments)
    process.go()
    assert process.line() == "traced"
    monitor.wait_for("trace_begin")
    # It tells of the trace first, then BPF; it sleeps when there is nothing more to do.
    wait_until(lambda: state_of(monitor.pid) == "S")
    return process, monitor


def test_signal_from_bpf(enforced, gradwatch):
    """A block that is entered, once the kind of the trace is known: nobody needs to be asked."""
    process, monitor = paused(enforced, gradwatch, "--on-violation", "kill")
    process.send("")
    assert process.wait() == -signal.SIGKILL
    monitor.finish()
    (event,) = actions(monitor)
    assert (event["action"], event["outcome"]) == ("kill", "performed")
    assert event["by_bpf"]
    assert event["user"]["file"].endswith("enforced.py")  # also in what comes later


@pytest.mark.parametrize("name, outcome", [("INT", "too_late"), ("TERM", "performed")])
def test_ended_before_it_was_told(enforced, gradwatch, name, outcome):
    """The record is read when the process is gone: Python ends by SIGINT after the change."""
    process, monitor = paused(enforced, gradwatch, "--on-violation", f"signal:{name}")
    monitor.signal(signal.SIGSTOP)
    wait_until(lambda: state_of(monitor.pid) == "T")
    process.send("")
    assert process.wait() != 0
    monitor.signal(signal.SIGCONT)
    monitor.finish()
    (event,) = actions(monitor)
    assert event["outcome"] == outcome
    assert event["signal"] == getattr(signal, "SIG" + name)


@pytest.mark.parametrize("scene", ["handler", "blocked"])
def test_signal_that_cannot_stop_it(enforced, gradwatch, scene):
    """The change is made, and that is what is told; with --escalate it is the last thing."""
    process = enforced(scene)
    monitor = watch(gradwatch, process, "--on-violation", "signal:TERM")
    process.go()
    (one,) = process.attempts()
    assert one["after"] is False
    assert process.wait() == 0
    monitor.finish()
    (event,) = actions(monitor)
    assert event["outcome"] == "too_late"
    assert scene[:5] in event["detail"], event["detail"]
    assert monitor.end_event["actions"]["performed"] == 0


def test_escalation(puppet, gradwatch):
    """What lives on after the signal is killed, after the change."""
    process = puppet(preexec_fn=ignore_term)
    monitor = watch(gradwatch, process, "--on-violation", "signal:TERM", "--escalate")
    process.tell("trace")
    process.send("set 0")
    process.send("operator")  # it may be killed before, or after
    assert process.wait() == -signal.SIGKILL
    monitor.finish()
    first, second = actions(monitor)
    assert (first["action"], first["outcome"]) == ("signal", "too_late")
    assert first["detail"] == "it ignores the signal"
    assert (second["action"], second["outcome"]) == ("kill", "performed")
    assert second["after_change"] and not first["after_change"]
    assert len(monitor.violations) == 1 and monitor.of_type("finding")  # it was made


def ignore_term():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def test_abort_with_faulthandler(enforced, gradwatch):
    """A handler in C runs before the change, and names the line."""
    process = enforced("faulthandler")
    monitor = watch(gradwatch, process, "--on-violation", "signal:ABRT")
    process.go()
    assert process.wait() == -signal.SIGABRT
    monitor.finish()
    assert "Fatal Python error: Aborted" in process.stderr
    assert "enforced.py" in process.stderr
    assert [event["outcome"] for event in actions(monitor)] == ["performed"]
