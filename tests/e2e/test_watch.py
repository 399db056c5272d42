# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom to watch, and that every event of it is told."""

import contextlib
import json
import os
import time
from pathlib import Path

import pytest
from processes import DEADLINE, Process
from watching import CHANGES_OF_SMALL, threads_of, verdicts


def test_threads_that_start_later(puppet, gradwatch):
    process = puppet()
    process.tell("@before set 1")
    monitor = gradwatch("--pid", process.pid).armed()
    told = [
        process.run(f"@{name} trace", f"@{name} set 0", f"@{name} end", f"@{name} set 1")
        for name in ("before", "after")
    ]
    monitor.wait_for("change", 2)
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
    monitor.wait_for("change", 2 * CHANGES_OF_SMALL)
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
    monitor.wait_for("change", CHANGES_OF_SMALL)
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
    monitor.wait_for(lambda event: event["type"] == "change" and event["pid"] == process.pid, 2)
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


def members(family):
    """How many processes a family has."""
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(ProcessLookupError):
            count += os.getsid(int(name)) == family.pid
    return count


def test_descendants_that_are_being_forked(any_target, gradwatch, tmp_path):
    """Each process forks another one, before, while and after gradwatch looks for them."""
    family = start_family(any_target, tmp_path, "chain")
    assert json.loads(family.line())["pid"] == 0
    monitor = gradwatch("--pid", family.pid, "--follow").armed()
    end = time.monotonic() + DEADLINE
    while (before := members(family)) < 6:
        assert time.monotonic() < end
        time.sleep(0.05)
    pids = pids_of(family, tmp_path)
    monitor.finish()
    assert len(pids) >= before
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
    monitor.wait_for("change", 3)
    monitor.stop()
    of_child = [event for event in monitor.violations if event["pid"] == child]
    assert verdicts(of_child) == [(False, True), (True, False)]
    (trace,) = {event["trace"] for event in of_child}
    (begin,) = [event for event in monitor.of_type("trace_begin") if event["trace"] == trace]
    assert begin["seen_from_start"] is False
    (end,) = [event for event in monitor.of_type("trace_end") if event["trace"] == trace]
    assert end["reason"] == "exit" and end["changes"] == 2


def test_exec_in_a_watched_process(target, puppet, gradwatch):
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "set 0")
    process.send("exec")
    assert process.answer() == {"done": "ready", "pid": process.pid, "tid": process.pid}
    process.run("set 0", "trace", "set 1", "end", "set 0")
    monitor.wait_for("change", 2)
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
        monitor.wait_for(lambda e, p=process: e["type"] == "change" and e["pid"] == p.pid, 2)
    monitor.stop()
    assert monitor.status == 0


def test_who_a_violation_is_of(target, puppet, gradwatch):
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    answers = process.run("@thread trace", "@thread set 0", "@thread end", "@thread set 1")
    monitor.stop()
    (event,) = monitor.violations
    stat = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    assert event["v"] == 2
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
