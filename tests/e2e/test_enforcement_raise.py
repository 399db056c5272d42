# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that raise instead of changing the grad mode, on real PyTorch."""

import re
import signal
import subprocess

from enforcing import actions, state_of, watch
from watching import links, wait_until

VIOLATIONS = [
    "direct", "star", "partial", "map", "apply", "with", "decorator", "again",
    "keyword", "double_star", "partial_keyword", "in_flight", "last",
]  # fmt: skip
NOT_REFUSED = ["redundant", "inquiry", "outside"]


def check_raised(attempts):
    """Each was refused at its own line, and nothing is another than before."""
    for one in attempts:
        assert one["error"] == "RuntimeError", one
        assert "gradwatch" in one["text"] and "torch.no_grad()" in one["text"]
        assert one["after"] is one["before"] is True
        # A traceback of the first error may be kept by the interpreter: no growth is what counts.
        assert all(count <= 0 for count in one["counts"]), one


def bpf_can_raise(binary):
    """Whether this kernel lets a probe write registers."""
    told = subprocess.run([binary, "doctor"], capture_output=True, text=True, timeout=300).stdout
    (line,) = [line for line in told.splitlines() if line.startswith("raising")]
    return "by BPF" in line


def test_raise(target, enforced, gradwatch, binary):
    """Every way to call the function raises; what is no violation does not."""
    process = enforced("forms", on=target)
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    attempts = {one["form"]: one for one in process.attempts()}
    assert process.wait() == 0, process.stderr
    monitor.finish()
    refused = [attempts[form] for form in VIOLATIONS if form in attempts]
    keywords = target.version >= (2, 0)
    assert len(refused) == len(VIOLATIONS) - (0 if keywords else 3)
    check_raised(refused)
    lines = {one["form"]: one["line"] for one in refused}
    assert all(lines.values())
    for form in ("direct", "star", "partial", "map", "apply", "again"):
        assert lines[form] == attempts[form]["wanted_line"]
    for form in NOT_REFUSED:
        assert not attempts[form]["error"]
    performed = actions(monitor, "performed")
    assert len(performed) == len(refused) == len(actions(monitor))
    assert {event["action"] for event in performed} == {"raise"}
    # By itself BPF only raises in a block that is entered: of other calls user space is asked.
    assert any(event["by_bpf"] for event in performed) == bpf_can_raise(binary)
    assert monitor.violations == [] and monitor.ledger["reported"] == 0
    assert monitor.end_event["actions"]["performed"] == len(refused)
    for event in performed:
        assert (event["from"], event["to"], event["kind"]) == (True, False, "make_fx")
        assert event["user"]["file"].endswith("enforced.py")


def test_raise_many(target, enforced, gradwatch):
    process = enforced("many", 1000, on=target)
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    attempts = process.attempts()
    assert process.wait() == 0, process.stderr
    monitor.finish()
    assert len(attempts) == 1000
    check_raised(attempts)
    assert len(actions(monitor, "performed")) == len(actions(monitor)) == 1000


def test_binding_is_tried_again(enforced, gradwatch, shim):
    """The probe of the binding finds no descriptor at first."""
    process = enforced("many", 10)
    monitor = watch(gradwatch, process, "--on-violation", "raise", env=shim("short-4"))
    wait_until(lambda: "calls cannot be made to raise" in monitor.stderr)
    wait_until(lambda: links(monitor) == 3)  # two of its libtorch, and that of the binding
    process.go()
    attempts = process.attempts()
    assert process.wait() == 0, process.stderr
    monitor.finish()
    check_raised(attempts)
    assert len(actions(monitor, "performed")) == len(actions(monitor)) == 10


def test_raise_threads(target, enforced, gradwatch):
    """Eight at once: each raises in its own thread."""
    process = enforced("threads", 50, on=target)
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    attempts = process.attempts()
    assert process.wait() == 0, process.stderr
    monitor.finish()
    assert len(attempts) == 400
    for one in attempts:
        assert one["error"] == "RuntimeError" and one["after"] is True, one
    performed = actions(monitor, "performed")
    assert len(performed) == len(actions(monitor)) == 400
    assert len({event["tid"] for event in performed}) == 8


def test_raise_after_idle(puppet, gradwatch):
    """No trace is stopped to place the probe in the binding: it is there before and after."""
    process = puppet()
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    before = links(monitor)
    assert before in (3, 5)  # setter, binding; the three of the modes, which may share a link
    process.run("trace")
    process.send("set 0")
    assert process.answer()["error"].startswith("RuntimeError: gradwatch")
    process.run("end")
    assert links(monitor) == before
    process.end()
    monitor.finish()
    assert len(actions(monitor, "performed")) == len(actions(monitor)) == 1


def test_raise_in_command(any_target, tmp_path, gradwatch):
    """For CI jobs: the script fails with a traceback and status 1."""
    argv = any_target.command(tmp_path, "enforced.py", "uncaught")
    options = ("--on-violation", "raise", "--enforce-kinds", "make_fx")
    monitor = gradwatch(*options, "--", *argv)
    monitor.finish()
    assert monitor.status == 1
    assert "RuntimeError: gradwatch: the grad mode was about to change (on -> off)" in (
        monitor.stderr
    )
    assert re.search(r'enforced.py", line \d+, in <lambda>', monitor.stderr)
    assert len(actions(monitor, "performed")) == 1


def test_decorated_forward(target, enforced, gradwatch):
    process = enforced("own", on=target)
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    (one,) = process.attempts()
    process.wait()
    monitor.finish()
    assert one["error"] == "RuntimeError" and one["after"] is True


def test_gradwatch_killed_while_raising(enforced, gradwatch):
    """In the middle of a thousand raises: no process stays stopped."""
    process = enforced("many", 100_000)
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    monitor.wait_for("action", 20)
    monitor.signal(signal.SIGKILL)
    monitor.wait()
    attempts = process.attempts()
    assert process.wait() == 0, process.stderr
    assert len(attempts) == 100_000
    raised = [one["error"] for one in attempts]
    assert raised[0] == "RuntimeError" and raised[-1] == ""


def test_native_caller(target, enforced, gradwatch):
    """A C++ caller cannot be made to raise: it is told so, and the fallback is taken."""
    process = enforced("native", on=target)
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    (one,) = process.attempts()
    assert not one["error"] and one["after"] is False
    process.wait()
    monitor.finish()
    (event,) = actions(monitor)
    assert (event["outcome"], event["fallback"]) == ("refused", "report")


def test_native_caller_held(enforced, gradwatch, binary):
    process = enforced("native")
    monitor = watch(gradwatch, process, "--on-violation", "raise", "--fallback", "hold")
    process.go()
    monitor.wait_for("action", 2)
    assert state_of(process.pid) == "T"
    subprocess.run([binary, "release", str(process.pid)], check=True)
    process.wait()
    monitor.finish()
    outcomes = [(event["action"], event["outcome"]) for event in actions(monitor)]
    assert outcomes[:2] == [("raise", "refused"), ("hold", "performed")]


def test_raise_with_a_thread_that_no_signal_reaches(enforced, gradwatch):
    """Another thread waits in the kernel for a child; nobody stays stopped or traced."""
    process = enforced("spawning", 20)
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    assert [one["error"] for one in process.attempts()] == ["RuntimeError"] * 20
    assert process.wait() == 0, process.stderr
    monitor.finish()
    assert [event["outcome"] for event in actions(monitor)] == ["performed"] * 20
