# SPDX-License-Identifier: GPL-2.0-or-later
"""Acting on violations before they happen, on real PyTorch."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import processes
import pytest

VIOLATIONS = [
    "direct", "star", "partial", "map", "apply", "with", "decorator", "again",
    "keyword", "double_star", "partial_keyword", "in_flight", "last",
]  # fmt: skip
NOT_REFUSED = ["redundant", "inquiry", "outside"]


class Enforced(processes.Process):
    """tests/programs/enforced.py, up to where it waits to be told to begin."""

    def __init__(self, argv, **options):
        super().__init__(argv, **options)
        assert self.line() == "ready", self.stderr

    def go(self):
        self.send("go")

    def attempts(self):
        line = self.line()
        assert line is not None, f"it ended: {self.stderr}"
        return json.loads(line)


@pytest.fixture
def enforced(any_target, tmp_path):
    def start(scene, *arguments, on=any_target, wrapper=(), **options):
        argv = on.command(tmp_path, "enforced.py", scene, *map(str, arguments))
        return Enforced([*wrapper, *argv], **options)

    return start


def state_of(pid):
    """Its state, None when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_until(condition, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


def watch(gradwatch, process, *arguments):
    arguments = ("--enforce-kinds", "make_fx", *arguments)
    return gradwatch("--pid", process.pid, "--rate", 0, *arguments).armed()


def actions(monitor, outcome=None):
    events = monitor.of_type("action")
    return [event for event in events if outcome in (None, event["outcome"])]


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
    assert probes_of(monitor) == 5
    process.run("trace")
    process.send("set 0")
    assert process.answer()["error"].startswith("RuntimeError: gradwatch")
    process.run("end")
    process.end()
    monitor.finish()
    assert len(actions(monitor, "performed")) == len(actions(monitor)) == 1


def probes_of(monitor):
    """The uprobes that it has open."""
    found = 0
    for fd in Path(f"/proc/{monitor.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += bool(re.search(r"^link_type:\t(perf|uprobe_multi)$", fd.read_text(), re.M))
    return found


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
    assert trace["violations"] == 1


def paused(enforced, gradwatch, *arguments):
    """In the middle of a trace, of which user space has told BPF the kind."""
    process = enforced("pause")
    monitor = watch(gradwatch, process, *arguments)
    process.go()
    assert process.line() == "traced"
    monitor.wait_for("trace_begin")  # what user space tells, BPF knows
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
    process.run("set 1", "operator", "end")
    process.end()
    monitor.finish()
    (event,) = actions(monitor)
    assert event["outcome"] == "refused" and "way back" in event["detail"]


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
    process.run("trace", "set 0", "operator")
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


def held(monitor, process):
    event = monitor.wait_for(lambda event: event["type"] == "action")
    assert (event["action"], event["outcome"]) == ("hold", "performed")
    assert state_of(process.pid) == "T"
    return event


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


def watchdog_of(monitor):
    """The pid of its watchdog, None: it has none at the moment."""
    children = Path(f"/proc/{monitor.pid}/task/{monitor.pid}/children").read_text().split()
    for pid in map(int, children):
        with contextlib.suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text()
            if name == "gradwatch-dog\n" and state_of(pid) != "Z":
                return pid
    return None


def test_watchdog_killed(enforced, gradwatch):
    """It is replaced, and the other one does its work."""
    process = enforced("uncaught")
    monitor = watch(gradwatch, process, "--on-violation", "hold")
    process.go()
    held(monitor, process)
    first = watchdog_of(monitor)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: watchdog_of(monitor) not in (None, first))
    monitor.signal(signal.SIGKILL)
    assert process.wait(20) == 0, process.stderr
    assert "the watchdog had ended" in monitor.stderr


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


def test_traced_by_another(enforced, gradwatch):
    """strace has it: refused, and the fallback is taken."""
    assert shutil.which("strace"), "strace is needed: tools/deps.sh test"
    strace = ["strace", "-f", "-qq", "-e", "trace=none", "-o", "/dev/null"]
    process = enforced("many", 3, wrapper=strace)
    (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    monitor = gradwatch(
        "--pid", pid, "--on-violation", "raise", "--enforce-kinds", "make_fx", "--rate", 0
    ).armed()
    process.go()
    assert [one["error"] for one in process.attempts()] == [""] * 3
    assert process.wait() == 0
    monitor.finish()
    assert len(actions(monitor, "refused")) == len(actions(monitor)) == 3
    for event in actions(monitor):
        assert event["fallback"] == "report"
        assert event["detail"] == f"process {process.pid} traces it already"
    assert len(monitor.violations) == 6


def test_traced_by_another_and_killed(enforced, gradwatch):
    strace = ["strace", "-f", "-qq", "-e", "trace=none", "-o", "/dev/null"]
    process = enforced("many", 3, wrapper=strace)
    (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    options = ("--on-violation", "raise", "--fallback", "kill", "--enforce-kinds", "make_fx")
    monitor = gradwatch("--pid", pid, *options).armed()
    process.go()
    process.wait()
    monitor.finish()
    outcomes = [(event["action"], event["outcome"]) for event in actions(monitor)]
    assert outcomes == [("raise", "refused"), ("kill", "performed")]


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


def test_pid_1_of_a_namespace(enforced, gradwatch):
    """As in a container: SIGTERM does nothing to it, an exception does."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    for action, raised in (("raise", "RuntimeError"), ("signal:TERM", "")):
        process = enforced("many", 2, wrapper=unshare)
        (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        options = ("--enforce-kinds", "make_fx", "--on-violation", action)
        monitor = gradwatch("--pid", pid, *options).armed()
        process.go()
        assert [one["error"] for one in process.attempts()] == [raised] * 2
        process.wait()
        monitor.finish()
        outcome = "performed" if raised else "too_late"
        assert [event["outcome"] for event in actions(monitor)] == [outcome] * 2
        if not raised:
            assert "PID 1" in actions(monitor)[0]["detail"]


def test_seccomp(any_target, enforced, gradwatch, tmp_path):
    """A filter that kills on signals and tracing: what comes from outside it does not see."""
    process = enforced("many", 3, wrapper=[any_target.python(), str(SECCOMP)])
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    assert [one["error"] for one in process.attempts()] == ["RuntimeError"] * 3
    assert process.wait() == 0
    monitor.finish()


SECCOMP = Path(__file__).resolve().parents[1] / "programs" / "seccomp.py"


def test_forked_child(puppet, gradwatch):
    """A child has its parent's libraries, and is acted in when it is followed."""
    process = puppet()
    options = ("--on-violation", "raise", "--enforce-kinds", "make_fx", "--follow")
    monitor = gradwatch("--pid", process.pid, *options).armed()
    process.tell("fork trace;set 0;operator;end")
    process.end()
    monitor.finish()
    performed = actions(monitor, "performed")
    assert performed and all(event["pid"] != process.pid for event in performed)


def test_only_where_it_is_allowed(enforced, gradwatch):
    """--all acts in whom the list names, and watches the others."""
    name = f"u{os.getpid()}"
    ours, other = enforced("many", 2, env=dict(os.environ, NAME=name)), enforced("many", 2)
    options = ("--on-violation", "raise", "--enforce-kinds", "make_fx")
    monitor = gradwatch("--all", *options, "--enforce-command", name[:-1] + "?").armed()
    for process, error in ((ours, "RuntimeError"), (other, "")):
        process.go()
        assert [one["error"] for one in process.attempts()] == [error] * 2
        process.wait()
    monitor.stop()
    assert {event["pid"] for event in actions(monitor)} == {ours.pid}


@pytest.mark.parametrize(
    "user, raised", [("root", "RuntimeError"), ("0", "RuntimeError"), ("1", "")]
)
def test_only_for_a_user(enforced, gradwatch, user, raised):
    process = enforced("many", 2)
    monitor = watch(gradwatch, process, "--on-violation", "raise", "--enforce-user", user)
    process.go()
    assert [one["error"] for one in process.attempts()] == [raised] * 2
    process.wait()
    monitor.finish()
    assert len(actions(monitor)) == (2 if raised else 0)


def test_only_in_a_cgroup(enforced, gradwatch):
    process = enforced("many", 2)
    lines = Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()
    (path,) = [line[3:] for line in lines if line.startswith("0::")] or [None]
    options = ("--enforce-kinds", "make_fx", "--on-violation", "raise", "--enforce-cgroup")
    monitor = gradwatch("--pid", process.pid, "--rate", 0, *options, path or "/none")
    if not path:  # refused, as it could not match
        assert monitor.wait() == 2 and "no cgroup v2" in monitor.stderr
        return
    monitor.armed()
    process.go()
    assert [one["error"] for one in process.attempts()] == ["RuntimeError"] * 2
    process.wait()
    monitor.finish()


def test_children_of_a_host(puppet, gradwatch):
    """--all: a forked child maps nothing new, and is acted in as its parent is."""
    name = f"h{os.getpid()}"
    process = puppet()
    process.run("name " + name.encode().hex())
    options = ("--on-violation", "raise", "--enforce-kinds", "make_fx")
    monitor = gradwatch("--all", *options, "--enforce-command", name).armed()
    process.tell("fork trace;set 0;operator;end")
    process.end()
    monitor.stop()
    performed = actions(monitor, "performed")
    assert performed and all(event["pid"] != process.pid for event in performed)


@pytest.mark.parametrize(
    "arguments, line",
    [
        (["--all", "--on-violation", "kill"], "say in which"),
        (["--pid", "1", "--on-violation", "explode"], "knows no 'explode'"),
        (["--pid", "1", "--on-violation", "signal:NONE"], "'NONE' is no signal"),
        (["--pid", "1", "--on-violation", "signal:STOP"], "'STOP' is no signal"),
        (["--pid", "1", "--on-violation", "hold", "--fallback", "kill"], "--fallback goes with"),
        (["--pid", "1", "--on-violation", "raise", "--fallback", "raise"], "cannot be raised"),
        (["--pid", "1", "--dry-run"], "--dry-run is for an action"),
        (["--pid", "1", "--hold-timeout", "0"], "--hold-timeout wants seconds"),
        (["--pid", "1", "--enforce-kinds", "some"], "--enforce-kinds knows no 'some'"),
        (["--pid", "1", "--enforce-user", "root"], "--enforce-user is for an action"),
        (
            ["--pid", "1", "--on-violation", "kill", "--enforce-user", "no-such-user"],
            "knows no user 'no-such-user'",
        ),
        (
            ["--pid", "1", "--on-violation", "kill", "--enforce-kinds", "pre_dispatch"],
            "nothing to act on",
        ),
    ],
)
def test_bad_use(binary, arguments, line):
    done = subprocess.run([binary, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert line in done.stderr and done.stderr.count("\n") == 1
