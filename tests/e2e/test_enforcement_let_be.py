# SPDX-License-Identifier: GPL-2.0-or-later
"""What is no violation, accepted, or the way back, is let be."""

import pytest
from enforcing import actions, watch


def test_other_kinds_go_on(enforced, gradwatch):
    """make_fx is not among the kinds that are acted in by default."""
    process = enforced("many", 20)
    monitor = gradwatch("--pid", process.pid, "--on-violation", "raise", "--rate", 0).armed()
    process.go()
    assert [one["error"] for one in process.attempts()] == [""] * 20
    process.wait()
    monitor.finish()
    assert actions(monitor) == [] and len(monitor.violations) == 40
    assert monitor.stderr.count("violations in traces of kind make_fx are not acted on") == 1


def test_suppressed_goes_on(enforced, gradwatch, tmp_path):
    accepted = tmp_path / "accepted"
    accepted.write_text("known make_fx */enforced.py *\n")
    process = enforced("many", 20)
    monitor = watch(gradwatch, process, "--on-violation", "raise", "--suppress", accepted)
    process.go()
    assert [one["error"] for one in process.attempts()] == [""] * 20
    process.wait()
    monitor.finish()
    assert actions(monitor) == []


@pytest.mark.parametrize("action", ["raise", "hold", "kill", "signal:TERM"])
def test_dry_run(enforced, gradwatch, action):
    """Everything but the act."""
    process = enforced("many", 5)
    monitor = watch(gradwatch, process, "--on-violation", action, "--dry-run")
    process.go()
    assert [one["error"] for one in process.attempts()] == [""] * 5
    assert process.wait() == 0
    monitor.finish()
    assert len(actions(monitor, "dry_run")) == len(actions(monitor)) == 5
    assert {event["action"] for event in actions(monitor)} == {action.split(":")[0]}


ACTIONS = ["kill", "signal:TERM", "hold", "raise"]


@pytest.mark.parametrize("action", ACTIONS)
def test_autograd_is_let_be(target, enforced, gradwatch, action):
    """What autograd does by itself is information."""
    process = enforced("autograd", on=target)
    fallback = ("--fallback", "kill") if action == "raise" else ()
    monitor = watch(gradwatch, process, "--on-violation", action, *fallback)
    process.go()
    assert process.attempts() == [{"after": True}]
    assert process.wait() == 0, process.stderr
    monitor.finish()
    assert monitor.violations and actions(monitor) == []


def test_backward(target, enforced, gradwatch):
    """The block in the backward pass is not entered; nothing is done where it would be left."""
    process = enforced("backward", 2, on=target)
    monitor = watch(gradwatch, process, "--on-violation", "raise", "--fallback", "kill")
    process.go()
    attempts = process.attempts()
    assert process.wait() == 0, process.stderr
    monitor.finish()
    entered = [one for one in attempts if "form" in one]
    assert len(entered) == 2
    for one in entered:
        assert one["error"] == "RuntimeError" and one["before"] is one["after"] is False, one
    assert [one["after"] for one in attempts if "form" not in one] == [True] * 2
    assert [(event["from"], event["to"]) for event in actions(monitor)] == [(False, True)] * 2
    assert {event["outcome"] for event in actions(monitor)} == {"performed"}


@pytest.mark.parametrize("action", ACTIONS)
def test_attach_in_a_block(target, enforced, gradwatch, action):
    """The block began before gradwatch came: its end is the way back, and is made."""
    process = enforced("inside", on=target)
    process.go()
    assert process.line() == "traced"
    monitor = watch(gradwatch, process, "--on-violation", action)
    process.send("")
    assert process.attempts() == [{"after": True}]
    assert process.wait() == 0, process.stderr
    monitor.finish()
    assert actions(monitor) == []


def test_attach_between_calls(puppet, gradwatch):
    """A bare call that may be the way back is made, and that is told."""
    process = puppet()
    process.run("trace", "operator", "set 0", "operator")
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    # Which calls of the following are pairs is not known either.
    process.run("set 1", "operator", "set 0", "operator", "set 1", "operator", "end")
    process.end()
    monitor.finish()
    assert {event["outcome"] for event in actions(monitor)} == {"refused"}
    assert all("way back" in event["detail"] for event in actions(monitor))
