# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom to watch, and that every event of it is told: traces, violations, ledger, ends."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Process, Puppet

CHANGES_OF_SMALL = 2  # violations of puppet.py's small()
OPERATORS_OF_SMALL = 4

# A program for `-- CMD` that needs no PyTorch.
SHOW = """
import json, os, sys
print(json.dumps({
    "environment": os.environ.get("GRADWATCH_TEST"),
    "input": sys.stdin.read(),
    "arguments": sys.argv[1:],
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
    "blocked": [line for line in open("/proc/self/status") if line.startswith("SigBlk")],
    "files": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],
}))
sys.exit(7)
"""

CUSTOM_FUNCTION = """
import torch
from torch.fx.experimental.proxy_tensor import make_fx

class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2

make_fx(Double.apply)(torch.ones(3, requires_grad=True))
"""


def verdicts(events):
    return [(event["from"], event["to"]) for event in events]


def threads_of(events):
    return {event["tid"] for event in events}


# --- processes -----------------------------------------------------------------------------------


def test_threads_that_start_later(puppet, gradwatch):
    process = puppet()
    process.tell("@before set 1")
    monitor = gradwatch("--pid", process.pid).armed()
    told = [
        process.run(f"@{name} trace", f"@{name} set 0", f"@{name} end", f"@{name} set 1")
        for name in ("before", "after")
    ]
    monitor.wait_for("violation", 2)
    monitor.stop()
    assert threads_of(monitor.violations) == {answers[0]["tid"] for answers in told}
    assert verdicts(monitor.violations) == [(True, False)] * 2
    assert monitor.end_event["processes"] == 1
    process.end()


def test_several_processes(puppet, gradwatch):
    watched = [puppet(), puppet()]
    other = puppet()
    monitor = gradwatch(*[f"--pid={process.pid}" for process in watched]).armed()
    for process in (*watched, other):
        process.tell("loop 1")
    monitor.wait_for("violation", 2 * CHANGES_OF_SMALL)
    monitor.stop()
    counts = [sum(e["pid"] == p.pid for e in monitor.violations) for p in (*watched, other)]
    assert counts == [CHANGES_OF_SMALL, CHANGES_OF_SMALL, 0]
    assert monitor.end_event["processes"] == 2
    assert monitor.ledger["filtered"] >= CHANGES_OF_SMALL


def test_library_loaded_after_attaching(target, puppet, gradwatch):
    process = puppet("--bare", on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    assert not monitor.of_type("attached")
    process.tell("load")
    process.tell("loop 1")
    monitor.wait_for("violation", CHANGES_OF_SMALL)
    monitor.stop()
    attached = monitor.of_type("attached")
    assert any(event["armed_after_ns"] > 0 for event in attached)
    assert "has no libtorch mapped" in monitor.stderr
    assert len(monitor.violations) == CHANGES_OF_SMALL
    process.end()


def test_ends_with_the_last_process(puppet, gradwatch):
    processes = [puppet(), puppet()]
    monitor = gradwatch(*[f"--pid={process.pid}" for process in processes]).armed()
    for process in processes:
        assert monitor.alive()
        process.tell("loop 1")
        process.end()
    assert monitor.finish().status == 0
    assert len(monitor.violations) == 2 * CHANGES_OF_SMALL


@pytest.mark.parametrize("follow", [True, False])
def test_forked_children(target, puppet, gradwatch, follow):
    process = puppet(on=target)
    option = "--follow" if follow else "--no-follow"
    monitor = gradwatch("--pid", process.pid, option).armed()
    answers = fork_with_violations(process)
    own = process.tell("loop 1")
    assert own["pid"] == process.pid
    child = answers[-1]["child"]
    monitor.wait_for(lambda event: event["type"] == "violation" and event["pid"] == process.pid, 2)
    monitor.stop()
    of_child = [event for event in monitor.violations if event["pid"] == child]
    assert len(of_child) == (CHANGES_OF_SMALL + 1 if follow else 0)
    assert monitor.end_event["processes"] == (2 if follow else 1)
    process.end()


def fork_with_violations(process):
    """The child's answers come first, the parent's when the child has ended."""
    process.send("fork loop 1;trace;set 0;end;set 1")
    answers = [process.answer()]
    while "child" not in answers[-1]:
        answers.append(process.answer())
    assert answers[0]["pid"] == answers[-1]["child"] != process.pid
    return answers


def start_family(target, tmp_path, kind):
    folder = tmp_path / "family"
    folder.mkdir()
    return Process(target.command(tmp_path, "family.py", kind, target.path(folder)))


def pids_of(family, tmp_path):
    """Lets a family (tests/programs/family.py) make their traces; returns who they are."""
    (tmp_path / "family" / "grown").touch()
    (tmp_path / "family" / "go").touch()
    family.wait()
    return {json.loads(line)["pid"] for line in family.rest()} - {0}


@pytest.mark.parametrize("follow", [True, False])
def test_descendants_that_exist(any_target, gradwatch, tmp_path, follow):
    family = start_family(any_target, tmp_path, "tree")
    pids = {json.loads(family.line())["pid"] for _ in range(5)}
    option = "--follow" if follow else "--no-follow"
    monitor = gradwatch("--pid", family.pid, option).armed()
    assert pids_of(family, tmp_path) == set()
    monitor.finish()
    told = {event["pid"] for event in monitor.violations}
    assert told == (pids if follow else {family.pid})
    assert len(monitor.violations) == 2 * len(told)
    assert monitor.end_event["processes"] == len(told)


def test_descendants_that_are_being_forked(any_target, gradwatch, tmp_path):
    """Each process forks another one, before, while and after gradwatch looks for them."""
    family = start_family(any_target, tmp_path, "chain")
    assert json.loads(family.line())["pid"] == 0
    monitor = gradwatch("--pid", family.pid, "--follow").armed()
    pids = pids_of(family, tmp_path)
    monitor.finish()
    assert len(pids) > 5
    assert {event["pid"] for event in monitor.violations} == pids
    assert len(monitor.violations) == 2 * len(pids)


def test_fork_inside_a_trace(puppet, gradwatch):
    """The child goes on inside a trace of which it has seen no push."""
    process = puppet()
    monitor = gradwatch("--pid", process.pid, "--follow").armed()
    process.run("trace", "set 0")
    process.send("fork set 1;set 1;set 0")
    answers = [process.answer() for _ in range(4)]
    child = answers[-1]["child"]
    assert [answer["violation"] for answer in answers[:3]] == [True, False, True]
    process.run("end", "set 1")
    monitor.wait_for("violation", 3)
    monitor.stop()
    of_child = [event for event in monitor.violations if event["pid"] == child]
    assert verdicts(of_child) == [(False, True), (True, False)]
    (trace,) = {event["trace"] for event in of_child}
    (begin,) = [event for event in monitor.of_type("trace_begin") if event["trace"] == trace]
    assert begin["seen_from_start"] is False
    (end,) = [event for event in monitor.of_type("trace_end") if event["trace"] == trace]
    assert end["reason"] == "exit" and end["violations"] == 2


def test_exec_in_a_watched_process(target, puppet, gradwatch):
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "set 0")
    process.send("exec")
    assert process.answer() == {"done": "ready", "pid": process.pid, "tid": process.pid}
    process.run("set 0", "trace", "set 1", "end", "set 0")
    monitor.wait_for("violation", 2)
    monitor.stop()
    assert verdicts(monitor.violations) == [(True, False), (False, True)]
    ends = [event["reason"] for event in monitor.of_type("trace_end")]
    assert ends[0] == "exec" and len(ends) == 2
    assert len({event["trace"] for event in monitor.violations}) == 2
    process.end()


def test_all_processes_also_those_that_start_later(target, puppet, gradwatch):
    before = puppet(on=target)
    monitor = gradwatch("--all").armed()
    after = puppet(on=target)
    for process in (before, after):
        process.tell("loop 1")
    for process in (before, after):
        monitor.wait_for(lambda e, p=process: e["type"] == "violation" and e["pid"] == p.pid, 2)
    monitor.stop()
    assert monitor.status == 0


# --- verdicts in special places ------------------------------------------------------------------


def test_attach_in_mid_trace(target, puppet, gradwatch):
    """On two threads, in a block and behind an operator: gradwatch saw nothing of it begin."""
    process = puppet(on=target)
    process.run("@a trace", "@a block no_grad", "@a operator", "trace", "set 0")
    monitor = gradwatch("--pid", process.pid).armed()
    # The main thread leaves first: FX wants traces to end in the order of a stack.
    own = process.run("set 0", "set 1", "raise", "set 0", "set 1")
    assert [answer.get("violation") for answer in own] == [False, True, None, False, False]
    # Leaving the block is a change, too: it restores what was before.
    answers = process.run("@a set 0", "@a set 1", "@a set 0", "@a end", "@a end", "@a set 0")
    expected = [answer["violation"] for answer in answers if "violation" in answer]
    assert expected == [False, True, True, False]
    monitor.wait_for("violation", 4)
    monitor.stop()
    assert verdicts([e for e in monitor.violations if e["tid"] == process.pid]) == [(False, True)]
    of_thread = [e for e in monitor.violations if e["tid"] == answers[0]["tid"]]
    assert verdicts(of_thread) == [(False, True), (True, False), (False, True)]
    assert all(event["certain"] for event in monitor.violations)
    begun = monitor.of_type("trace_begin")
    assert [event["seen_from_start"] for event in begun] == [False, False]
    process.end()


def test_attach_inside_no_grad_then_trace(target, puppet, gradwatch):
    """What was set before attaching counts as the mode before."""
    process = puppet(on=target)
    process.tell("block no_grad")
    monitor = gradwatch("--pid", process.pid).armed()
    answers = process.run("set 0", "trace", "set 0", "set 1", "end")
    assert [a["violation"] for a in answers if "violation" in a] == [False, False, True]
    process.run("set 0", "end")
    monitor.stop()
    assert verdicts(monitor.violations) == [(False, True)]
    assert monitor.ledger["redundant"] == 1
    process.end()


def test_exception_unwinds_a_trace(target, puppet, gradwatch):
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "block no_grad", "operator", "raise", "set 0", "set 1")
    process.run("trace", "set 0", "end", "set 1")
    monitor.stop()
    # The block is left while the trace is still in force.
    assert verdicts(monitor.violations) == [(True, False), (False, True), (True, False)]
    assert len({event["trace"] for event in monitor.violations}) == 2
    assert monitor.ledger["outside_trace"] == 3
    process.end()


def test_generator_across_the_edge_of_a_trace(target, puppet, gradwatch):
    """Its block is entered outside and left inside; and the other way round."""
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("generator new", "trace", "generator next", "end")
    process.run("trace", "generator new", "end", "generator next")
    calls = process.tell("calls")["calls"]
    monitor.stop()
    expected = [(call["current"], call["new"]) for call in calls if call["violation"]]
    assert verdicts(monitor.violations) == expected == [(False, True), (True, False)]
    process.end()


def test_inference_mode_inside_a_trace(target, puppet, gradwatch):
    """It changes the mode without the setter: no finding itself, but it is what was before."""
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "block inference_mode", "set 0", "set 1", "end", "set 1", "end")
    calls = process.tell("calls")["calls"]
    monitor.stop()
    expected = [(call["current"], call["new"]) for call in calls if call["violation"]]
    assert verdicts(monitor.violations) == expected == [(False, True)]
    process.end()


def test_nested_traces(target, puppet, gradwatch):
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "set 0", "trace", "set 1", "operator", "raise", "set 0", "end", "set 1")
    monitor.stop()
    assert verdicts(monitor.violations) == [(True, False), (False, True), (True, False)]
    outer, inner, again = (event["trace"] for event in monitor.violations)
    assert outer == again != inner
    depth = {event["trace"]: event["depth"] for event in monitor.of_type("trace_begin")}
    assert depth == {outer: 0, inner: 1}
    counts = {event["trace"]: event["violations"] for event in monitor.of_type("trace_end")}
    assert counts == {outer: 2, inner: 1}
    process.end()


# --- sessions ------------------------------------------------------------------------------------


def test_the_end_of_a_thread_ends_its_trace(puppet, gradwatch):
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    (begin, _) = process.run("@thread trace", "@thread set 0")
    process.send("end")  # the main thread ends, and with it the process: this one in the middle
    monitor.finish()
    process.wait()
    (end,) = monitor.of_type("trace_end")
    assert end["tid"] == begin["tid"] and end["violations"] == 1
    assert end["reason"] in ("exit", "gone", "replaced")


def test_a_killed_process_ends_its_traces(puppet, gradwatch):
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("@thread trace", "@thread set 0", "trace", "set 0")
    process.signal(signal.SIGKILL)
    monitor.finish()
    assert [event["reason"] for event in monitor.of_type("trace_end")] == ["exit", "exit"]
    assert monitor.status == 0


@pytest.mark.parametrize("keep", ["", "keep"])
def test_traces_in_a_loop(target, puppet, gradwatch, keep):
    """One trace each, though the mode objects often get the same address, or live on."""
    rounds = 20
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    operators = process.tell(f"loop {rounds} {keep}")["operators"]
    first_call = process.tell("calls")["calls"][0]
    monitor.stop()
    assert operators == [OPERATORS_OF_SMALL] * rounds
    ends = monitor.of_type("trace_end")
    assert len(ends) == monitor.end_event["traces"] == rounds
    assert [event["violations"] for event in ends] == [CHANGES_OF_SMALL] * rounds
    assert [event["operators"] for event in ends] == operators
    for event in ends:
        assert event["pushes"] == event["pops"] > 0
        assert event["first_push_ns"] <= event["last_push_ns"] <= event["last_pop_ns"]
        assert event["seen_from_start"]
    assert {event["depth"] for event in ends} == {0}
    earliest = min(event["first_push_ns"] for event in ends)
    assert earliest < first_call["before_ns"]
    process.end()


def test_idle_trace(puppet, gradwatch):
    """It was popped, but never left, and its mode object lives on: only time can tell."""
    process = puppet()
    monitor = gradwatch("--pid", process.pid, "--idle", 1).armed()
    process.run("trace", "hold", "end", "again", "set 1")
    end = monitor.wait_for("trace_end", 2)
    assert end["reason"] == "idle" and end["violations"] == 1 and not end["seen_from_start"]
    process.run("trace", "set 0", "end", "set 1")
    monitor.stop()
    assert verdicts(monitor.violations) == [(True, False)] * 2
    assert monitor.end_event["traces"] == 3
    process.end()


def test_changes_that_cxx_code_makes(target, gradwatch, tmp_path):
    """They reach the setter, too: autograd turns the mode off for a custom function's forward."""
    source = tmp_path / "custom.py"
    source.write_text(CUSTOM_FUNCTION)
    argv = target.wrap(tmp_path, [target.python(), target.path(source)])
    monitor = gradwatch("--", *argv).finish()
    assert monitor.status == 0, monitor.stderr
    assert verdicts(monitor.violations) == [(True, False), (False, True)]


def test_a_trace_that_is_over_is_told(puppet, gradwatch):
    """While the process goes on and does nothing more."""
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "set 0", "end")
    event = monitor.wait_for("trace_end")
    assert event["reason"] == "left"
    monitor.stop()
    process.end()


def test_detaching_ends_open_traces(puppet, gradwatch):
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "set 0")
    monitor.wait_for("violation")
    monitor.stop()
    (end,) = monitor.of_type("trace_end")
    assert end["reason"] == "detached"
    process.tell("set 1")
    process.end()


# --- the command ---------------------------------------------------------------------------------


def test_command_gets_what_it_would_get(gradwatch, tmp_path):
    monitor = gradwatch(
        "--",
        *(sys.executable, "-c", SHOW, "one", "--pid", "two words"),
        env={**os.environ, "GRADWATCH_TEST": "value"},
        stdin=subprocess.PIPE,
    )
    monitor.send("some input")
    monitor.close_stdin()
    monitor.finish()
    (shown,) = map(json.loads, monitor.other)
    assert monitor.status == 7
    assert shown["environment"] == "value"
    assert shown["input"] == "some input\n"
    assert shown["arguments"] == ["one", "--pid", "two words"]
    assert shown["blocked"][0].split()[1].strip("0") == ""
    assert shown["files"] == [0, 1, 2]
    assert shown["uid"] == [0, 0, 0]


def test_command_runs_as_the_user_who_called_sudo(gradwatch):
    monitor = gradwatch(
        *("--", "/bin/sh", "-c", "id -u; id -ru; id -g; id -G"),
        env={**os.environ, "SUDO_UID": "65534", "SUDO_GID": "65534"},
    ).finish()
    assert monitor.status == 0, monitor.stderr
    assert monitor.other == ["65534"] * 4


def test_command_under_sudo_has_the_home_of_its_user(gradwatch):
    monitor = gradwatch(
        *("--", "/bin/sh", "-c", "echo $HOME $USER $LOGNAME"),
        env={**os.environ, "SUDO_UID": "1", "SUDO_GID": "1", "HOME": "/root", "USER": "root"},
    ).finish()
    user = pwd.getpwuid(1)
    assert monitor.other == [f"{user.pw_dir} {user.pw_name} {user.pw_name}"]


# Runs a program as a careless launcher does.
LAUNCHER = """
import os, signal, sys
for name in sys.argv[1].split(","):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
os.execv(sys.argv[2], sys.argv[2:])
"""
NICE = 16  # of the fields of /proc/PID/stat from the state on
SHOW_SIGNALS = ["grep", "-hE", "^Sig(Blk|Ign)|^[0-9]+ [(]"]
OF_ITSELF = ["/proc/self/status", "/proc/self/stat", "/nonexistent"]  # so its status is 2


def test_command_gets_the_signals_that_were_given(binary):
    """Also under a parent that ignores SIGCHLD: the command's end is seen, and its status."""
    given = []
    for before in ([], [str(binary), "--"]):
        launcher = [sys.executable, "-S", "-c", LAUNCHER, "SIGCHLD,SIGPIPE,SIGHUP,SIGINT"]
        argv = [*before, *SHOW_SIGNALS, *OF_ITSELF]
        argv[0] = shutil.which(argv[0])
        result = subprocess.run([*launcher, *argv], capture_output=True, text=True, timeout=120)
        assert result.returncode == 2, result.stderr
        lines = result.stdout.splitlines()
        blocked, ignored = (int(line.split()[1], 16) for line in lines if line.startswith("Sig"))
        (stat,) = (line for line in lines if " (grep) " in line)
        given.append((blocked, ignored, stat.rsplit(")", 1)[1].split()[NICE]))
    assert given[0] == given[1]
    assert given[0][0] >> signal.SIGUSR2 - 1 & 1 and given[0][1] >> signal.SIGPIPE - 1 & 1


@pytest.mark.parametrize("log", [True, False])
def test_terminal_is_closed(puppet, gradwatch, tmp_path, log):
    """SIGHUP ends it, unless there is a log to be opened again."""
    process = puppet()
    path = tmp_path / "log"
    monitor = gradwatch("--pid", process.pid, *(["--log", path] if log else [])).armed()
    if log:
        path.rename(tmp_path / "old")
        monitor.signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while not path.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        monitor.stop()
    else:
        monitor.stop(signal.SIGHUP)
    assert monitor.status == 0
    process.end()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 42"], 42),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
    ],
)
def test_status_of_the_command(gradwatch, command, status):
    assert gradwatch("--", *command).finish().status == status


@pytest.mark.parametrize(("command", "status"), [("/nonexistent", 127), ("/etc/passwd", 126)])
def test_command_that_cannot_run(binary, command, status):
    result = subprocess.run([binary, "--", command], capture_output=True, text=True, timeout=60)
    assert result.returncode == status
    (line,) = result.stderr.splitlines()
    assert line.startswith("gradwatch: error: cannot run") and command in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(gradwatch, number):
    # Short waits: a signal that comes right before one is only looked at after it.
    wait = "while :; do read -t 0.2 line; done"  # from a pipe that stays open
    script = f"trap 'echo INT; exit 5' INT; trap 'echo TERM; exit 5' TERM; echo up; {wait}"
    monitor = gradwatch("--", "bash", "-c", script, stdin=subprocess.PIPE)
    monitor.wait_for("start")
    while "up" not in monitor.other:
        monitor.other.append(monitor.line())
    monitor.signal(number)
    monitor.finish()
    assert monitor.status == 5
    assert number.name.removeprefix("SIG") in monitor.other


def test_command_is_watched_from_its_first_call(target, gradwatch, tmp_path):
    """With nothing but a command line; its children are followed by default."""
    argv = target.command(tmp_path, "puppet.py")
    monitor = gradwatch("--", *argv, stdin=subprocess.PIPE)
    monitor.send("loop 1\nfork loop 1")
    monitor.close_stdin()
    monitor.finish()
    assert monitor.status == 0, monitor.stderr
    assert len(monitor.violations) == 2 * CHANGES_OF_SMALL
    assert monitor.end_event["processes"] == 2
    (attached,) = monitor.of_type("attached")
    assert attached["certain"] and attached["sites"] > 0


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fail", [True, False])
@pytest.mark.parametrize("violating", [True, False])
def test_status_with_fail(puppet, gradwatch, fail, violating):
    process = puppet()
    monitor = gradwatch("--pid", process.pid, *(["--fail"] if fail else [])).armed()
    process.run("trace", f"set {0 if violating else 1}", "end", "set 1")
    process.end()
    assert monitor.finish().status == (3 if fail and violating else 0)


def test_no_drift_while_it_detaches(puppet, gradwatch):
    """The probes go one by one, in the midst of traces that change the mode by the setter."""
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    process.send("loop 100000 keep")
    monitor.wait_for("violation", count=20)
    monitor.stop()
    assert {event["category"] for event in monitor.of_type("finding")} == {"scope"}
    assert monitor.end_event["drifts"] == 0
    assert process.alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(puppet, gradwatch, number):
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    process.tell("loop 1")
    monitor.stop(number)
    assert monitor.status == 0
    assert len(monitor.violations) == CHANGES_OF_SMALL
    assert process.tell("loop 1")["operators"] == [OPERATORS_OF_SMALL]
    process.end()


def probes_of(pid):
    """The ids of the BPF programs and links that the process holds."""
    ids = set()
    for entry in os.scandir(f"/proc/{pid}/fdinfo"):
        with open(entry.path, encoding="ascii") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name in ("prog_id", "link_id"):
                    ids.add((name, int(value)))
    return ids


def existing(kind):
    tool = "/usr/sbin/bpftool"
    listed = subprocess.run([tool, "-j", kind, "list"], capture_output=True, check=True, timeout=60)
    return {(f"{kind}_id", item["id"]) for item in json.loads(listed.stdout or "[]")}


def test_killed_gradwatch_leaves_nothing_behind(target, puppet, gradwatch):
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "set 0")
    monitor.wait_for("violation")
    held = probes_of(monitor.pid)
    assert len({name for name, _ in held}) == 2
    monitor.signal(signal.SIGKILL)
    monitor.wait()
    wait_until(lambda: not held & (existing("prog") | existing("link")))
    process.tell("set 1")
    again = gradwatch("--pid", process.pid).armed()
    process.run("set 0", "end", "set 1")
    again.stop()
    assert verdicts(again.violations) == [(True, False)]
    process.end()


def wait_until(condition, timeout=30):
    """The kernel frees programs a little after their last user is gone."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def test_killed_gradwatch_and_its_command(gradwatch, tmp_path):
    """A command that was not let go yet must not start; one that runs goes on."""
    monitor = gradwatch("--", "sh", "-c", "echo $$; read line; echo on", stdin=subprocess.PIPE)
    monitor.wait_for("start")
    child = int(monitor.line())
    monitor.signal(signal.SIGKILL)
    monitor.popen.wait()
    assert os.path.exists(f"/proc/{child}")
    monitor.send("go on")
    assert monitor.line() == "on"


# --- files ---------------------------------------------------------------------------------------


def run_copy(target, tmp_path, change):
    """A puppet with a libc10.so that is changed on disk while it is mapped, for its life."""
    copy = tmp_path / "libc10.so"
    inside = target.path(copy)
    copy.write_bytes(target.libc10().read_bytes())
    argv = target.command(tmp_path, "puppet.py")
    # The loader takes the copy for the library, since it has its name.
    process = Puppet(argv, env={**os.environ, "LD_PRELOAD": inside})
    assert inside in Path(f"/proc/{process.pid}/maps").read_text()
    change(copy)
    return process


def delete(path):
    path.unlink()


def replace(path):
    path.unlink()
    path.write_bytes(b"not a library at all")


@pytest.mark.parametrize("change", [delete, replace])
def test_library_changed_on_disk(any_target, gradwatch, tmp_path, change):
    if any_target.in_root:
        pytest.skip("the shell between would load the library, too")
    process = run_copy(any_target, tmp_path, change)
    monitor = gradwatch("--pid", process.pid).armed()
    process.tell("loop 1")
    monitor.wait_for("violation", CHANGES_OF_SMALL)
    monitor.stop()
    assert all(event["certain"] for event in monitor.violations)
    process.end()


def test_library_in_another_root(target, puppet, gradwatch):
    """Found through the process's own mapping: the path leads elsewhere from here."""
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.tell("loop 1")
    monitor.stop()
    (attached,) = monitor.of_type("attached")
    assert attached["torch"]["file"].rsplit("/", 1)[1].startswith("libc10.so")
    assert attached["torch"]["version"].startswith(".".join(map(str, target.version[:2])))
    assert len(monitor.violations) == CHANGES_OF_SMALL
    process.end()


# --- what a violation says -----------------------------------------------------------------------


def test_who_a_violation_is_of(target, puppet, gradwatch):
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    answers = process.run("@thread trace", "@thread set 0", "@thread end", "@thread set 1")
    monitor.stop()
    (event,) = monitor.violations
    stat = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    assert event["v"] == 1
    assert event["pid"] == event["ns_pid"] == process.pid
    assert event["tid"] == event["ns_tid"] == answers[0]["tid"]
    assert event["uid"] == 0
    assert event["comm"].startswith(("python", "Thread-"))  # 3.14 names threads
    assert event["exe"] == os.readlink(f"/proc/{process.pid}/exe")
    assert event["start_ns"] // 10**7 == int(stat[19]) * 100 // os.sysconf("SC_CLK_TCK")
    assert event["host"] == os.uname().nodename
    assert abs(rfc3339_ns(event["time"]) - event["mono_ns"] - utc_offset()) < 10**9
    call = answers[1]["call"]
    assert call["before_ns"] <= event["mono_ns"] <= call["after_ns"]
    process.end()


def utc_offset():
    return time.time_ns() - time.monotonic_ns()


def rfc3339_ns(text):
    whole, fraction = text.removesuffix("Z").split(".")
    assert len(fraction) == 9
    seconds = time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone
    return int(seconds) * 10**9 + int(fraction)


def test_pids_of_another_namespace(any_target, gradwatch, tmp_path):
    """A namespace within another: the number of the innermost one is told."""
    inner = any_target.command(tmp_path, "puppet.py")
    outer = Process(["unshare", "--pid", "--fork", "--kill-child", *inner])
    ready = json.loads(outer.line())
    assert ready["pid"] == 1
    pid = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
    monitor = gradwatch("--pid", pid).armed()
    outer.send("loop 1")
    assert json.loads(outer.line())["done"]
    monitor.stop()
    assert [(e["pid"], e["ns_pid"], e["ns_tid"]) for e in monitor.violations] == [(pid, 1, 1)] * 2
    outer.close_stdin()
    outer.wait()
