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
    assert {event["by_bpf"] for event in performed} == {bpf_can_raise(binary)}
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
    """Where nothing is traced the binding is not probed; for a trace it is, in time."""
    process = puppet()
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    wait_until(lambda: probes_of(monitor) == 4)  # after 5 s without a trace
    process.run("trace")
    assert probes_of(monitor) == 5
    process.send("set 0")
    assert process.answer()["error"].startswith("RuntimeError: gradwatch")
    process.run("end")
    wait_until(lambda: probes_of(monitor) == 4)
    process.end()
    monitor.finish()
    assert len(actions(monitor, "performed")) == len(actions(monitor)) == 1


def probes_of(monitor):
    """The uprobes that it has open."""
    found = 0
    for fd in Path(f"/proc/{monitor.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += "link_type:\tperf" in fd.read_text()
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


def test_signal_from_bpf(puppet, gradwatch):
    """Once the kind of the trace is known, nobody needs to be asked."""
    process = puppet()
    monitor = watch(gradwatch, process, "--on-violation", "kill")
    process.run("trace", "operator")
    monitor.wait_for("trace_begin")  # what user space tells, BPF knows
    process.send("set 0")
    assert process.wait() == -signal.SIGKILL
    monitor.finish()
    (event,) = actions(monitor)
    assert (event["action"], event["outcome"]) == ("kill", "performed")
    assert event["by_bpf"]


@pytest.mark.parametrize("name, outcome", [("INT", "too_late"), ("TERM", "performed")])
def test_ended_before_it_was_told(puppet, gradwatch, name, outcome):
    """The record is read when the process is gone: Python ends by SIGINT after the change."""
    process = puppet()
    monitor = watch(gradwatch, process, "--on-violation", f"signal:{name}")
    process.run("trace", "operator")
    monitor.wait_for("trace_begin")
    monitor.signal(signal.SIGSTOP)
    wait_until(lambda: state_of(monitor.pid) == "T")
    process.send("set 0")
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
    monitor.signal(number)
    assert process.wait(20) == 0, process.stderr
    status = monitor.wait()
    assert status == (-number if number == signal.SIGKILL else 0)
    wait_until(lambda: not watchdogs())


def watchdogs():
    found = []
    for stat in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if stat.read_text() == "gradwatch-dog\n":
                found.append(stat)
    return found


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
    options = ("--on-violation", "raise", "--enforce-cgroup")
    monitor = watch(gradwatch, process, *options, path or "/none")
    process.go()
    raised = "RuntimeError" if path else ""
    assert [one["error"] for one in process.attempts()] == [raised] * 2
    process.wait()
    monitor.finish()


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
    ],
)
def test_bad_use(binary, arguments, line):
    done = subprocess.run([binary, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert line in done.stderr and done.stderr.count("\n") == 1
