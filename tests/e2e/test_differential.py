# SPDX-License-Identifier: GPL-2.0-or-later
"""
Every verdict equals that of the oracles inside the process: none is missing, none is extra.

There are two oracles. oracle.py judges the calls that Python makes by what Python is told;
native_calls.c stands before the C++ function and so knows of every call, also of those that C++
makes (autograd, functorch). gradwatch must agree with the second to the one, in its verdicts and in
its ledger; the first must agree with the second on each call it knows of.
"""

import bisect
import collections
import itertools
import json
import os
import random
import subprocess
import time

import pytest
from processes import DEADLINE, Process
from targets import PROGRAMS

CALLS = int(os.environ.get("GRADWATCH_CALLS", "10000"))
SEEDS = [int(seed) for seed in os.environ.get("GRADWATCH_SEEDS", "1").split(",")]

# What a version cannot do; all else must have gone through at least once.
NO_EXPORT = {"export", "export_not_strict", "export_no_pre_dispatch", "run_decompositions"}
MISSING = {
    (1, 13): NO_EXPORT | {"traced_pre_dispatch", "compile", "functional_gradient"},
    (2, 1): {"export_not_strict", "run_decompositions"},
    # Its own safeguard raises when the module changes the grad mode.
    (2, 5): {"export_no_pre_dispatch"},
    (2, 6): {"export_no_pre_dispatch"},
}


def read_calls(path):
    """The oracle's calls, in the order of time."""
    with open(path, encoding="utf-8") as file:
        calls = [json.loads(line) for line in file]
    return sorted(calls, key=lambda call: call["before_ns"])


def is_violation(call):
    return call["violation"]


def is_information(call):
    """In a pre-dispatch trace, which is exempt from the rule."""
    return call["pre_dispatch"] and not call["engaged"] and call["changed"]


def compare(calls, changes, certainly, possibly):
    """Each change that gradwatch tells of, by the rule that it is told by; returns how many."""
    told = [change for change in changes if change["kind"] == "pre_dispatch"]
    assert all(change["info"] for change in told)
    match(calls, told, is_information, certainly, possibly)
    violations = [change for change in changes if change["kind"] != "pre_dispatch"]
    return match(calls, violations, is_violation, certainly, possibly)


def match(calls, violations, expected, certainly, possibly):
    """
    Matches gradwatch's violations with the oracle's calls that are expected, one to one.

    certainly and possibly are functions of a call: it was made while gradwatch watched; it may
    have been (the call was under way when watching began or ended).
    """
    by_thread = collections.defaultdict(list)
    for call in calls:
        by_thread[call["tid"]].append(call)
    starts = {tid: [call["before_ns"] for call in own] for tid, own in by_thread.items()}
    matched = set()
    extra = []
    for violation in violations:
        own = by_thread.get(violation["tid"], [])
        index = bisect.bisect_right(starts.get(violation["tid"], []), violation["mono_ns"]) - 1
        call = own[index] if index >= 0 else None
        if not fits(call, violation, expected) or id(call) in matched or not possibly(call):
            extra.append((violation, own[max(index - 1, 0) : index + 3]))
            continue
        matched.add(id(call))
    missing = [
        call for call in calls if expected(call) and certainly(call) and id(call) not in matched
    ]
    assert not extra, f"{len(extra)} extra; the oracle's calls around the first: {extra[0]}"
    assert not missing, f"{len(missing)} missing: {missing[:3]}"
    return len(matched)


def fits(call, violation, expected):
    return (
        call is not None
        and expected(call)
        and violation["mono_ns"] <= call["after_ns"]
        and violation["from"] == call["current"]
        and violation["to"] == call["new"]
    )


def always(call):
    return True


def check_oracles(own, native):
    """What Python knows of is what happened."""
    by_thread = collections.defaultdict(list)
    for call in native:
        by_thread[call["tid"]].append(call)
    starts = {tid: [call["before_ns"] for call in calls] for tid, calls in by_thread.items()}
    taken = set()
    for call in own:
        if call["swallowed"]:
            continue
        first = bisect.bisect_left(starts[call["tid"]], call["before_ns"])
        inside = by_thread[call["tid"]][first : first + 1]
        assert inside and id(inside[0]) not in taken, call
        taken.add(id(inside[0]))
        assert inside[0]["after_ns"] <= call["after_ns"], call
        for name in ("current", "new", "engaged", "changed", "violation"):
            assert inside[0][name] == call[name], (name, call, inside)


def check_ledger(gradwatch, calls):
    """For a run that missed nothing: each number is known. Other processes are "filtered"."""
    ledger = gradwatch.ledger
    (start,) = gradwatch.of_type("start")
    calls = [call for call in calls if call["before_ns"] >= start["mono_ns"]]  # imports may call
    assert ledger["hits"] - ledger["filtered"] == len(calls)
    inside = [call for call in calls if call["engaged"] or call["pre_dispatch"]]
    assert ledger["reported"] == sum(call["changed"] for call in inside)
    assert ledger["redundant"] == sum(not call["changed"] for call in inside)
    assert ledger["outside_trace"] == len(calls) - len(inside)
    assert ledger["lost"] == 0
    assert all(count == 0 for count in gradwatch.end_event["counters"].values())
    assert all(violation["certain"] for violation in gradwatch.violations)


# The kinds of trace in a scene of random_calls.py; what is not named is made of make_fx.
EXPORT = {"export", "pre_dispatch"}
KINDS = {
    "traced_pre_dispatch": {"pre_dispatch"},
    "export": EXPORT,
    "export_not_strict": EXPORT,
    "export_no_pre_dispatch": EXPORT,
    "run_decompositions": EXPORT | {"decompose"},
    "compile": {"compile"},
}


class Stage:
    """Which scene was on when a thread did something."""

    def __init__(self, path):
        self.by_thread = collections.defaultdict(list)
        with open(path, encoding="utf-8") as file:
            for line in file:
                played = json.loads(line)
                self.by_thread[played["tid"]].append(played)

    def scene(self, event, time_ns=None):
        """None on a thread of the autograd engine's own."""
        time_ns = time_ns or event["mono_ns"]
        for played in self.by_thread[event["tid"]]:
            if played["start_ns"] <= time_ns <= played["end_ns"]:
                return played["scene"]
        return None


def check_kinds(stage, monitor):
    """Each change and each trace is of the kind that the program then made."""
    seen = set()
    for event in [*monitor.violations, *monitor.of_type("trace_begin")]:
        scene = stage.scene(event, event.get("first_push_ns"))
        assert event["kind"] in KINDS.get(scene, {"make_fx"}), (scene, event)
        seen.add(event["kind"])
    assert "make_fx" in seen


def is_back(changes, call, mode):
    """The call put the mode back, or found that C++ code had: that need not call the setter."""
    before = changes[changes.index(call) - 1]
    return call["new"] == mode or before["new"] != call["current"] == mode


def check_findings(monitor, calls):
    """
    Where a scope begins and ends, the thread did change its mode so; a drift is not what the last
    change left. Findings of one place are told once, so these are few.
    """
    changes = collections.defaultdict(list)
    for call in calls:
        if call["changed"]:
            changes[call["tid"]].append(call)
    scopes = [event for event in monitor.of_type("finding") if event["category"] == "scope"]
    for scope in scopes:
        own = changes[scope["tid"]]
        begin = call_at(own, scope["mono_ns"])
        assert begin and begin["new"] == scope["to"]["grad"] != scope["from"]["grad"], scope
        if scope["restored"]:
            end = call_at(own, scope["mono_ns"] + scope["duration_ns"])
            assert end and is_back(own, end, scope["from"]["grad"]), (scope, begin, end)
    for event in monitor.of_type("finding"):
        if event["category"] == "drift":
            own = [c for c in changes[event["tid"]] if c["after_ns"] < event["mono_ns"]]
            left = own[-1]["new"] if own else True
            inference = event["from"]["inference"] != event["to"]["inference"]
            assert inference or event["to"]["grad"] != left, (event, own[-3:])
    assert any(scope["restored"] for scope in scopes)
    return len(scopes)


def call_at(own, time_ns):
    """The call of a thread that was under way at a time, None: none was."""
    index = bisect.bisect_right([call["before_ns"] for call in own], time_ns) - 1
    return own[index] if index >= 0 and time_ns <= own[index]["after_ns"] else None


def check_scenes(target, counts, at_least=CALLS):
    assert counts["calls"] >= at_least
    assert counts["violations"] >= at_least / 10
    assert counts["redundant"] >= at_least / 10
    assert counts["threads"] > 4
    never = set(counts["failed"]) - set(counts["ok"])
    assert never <= MISSING.get(target.version[:2], set()), counts["reasons"]


@pytest.fixture(scope="session")
def native_library(tmp_path_factory):
    library = tmp_path_factory.mktemp("native") / "native_calls.so"
    source = PROGRAMS / "native_calls.c"
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return library


class Program:
    """random_calls.py with both oracles."""

    def __init__(self, target, folder, library, *options, seed=1, calls=CALLS):
        folder.mkdir()
        (folder / library.name).write_bytes(library.read_bytes())
        self.own_log, self.native_log = folder / "own", folder / "native"
        environment = {
            "LD_PRELOAD": target.path(folder / library.name),
            "NATIVE_CALLS": target.path(self.native_log),
        }
        self.argv = target.command(
            *(folder, "random_calls.py", "--log", target.path(self.own_log)),
            *("--seed", str(seed), "--calls", str(calls), *options),
            environment=environment,
        )

    def start(self):
        self.process = Process(self.argv)
        self.pid = self.process.pid
        return self

    def ready(self):
        assert self.process.line() == f"ready {self.pid}"
        return self

    def end(self, timeout=DEADLINE):
        assert self.process.wait(timeout) == 0, self.process.stderr
        return self

    def stage(self):
        return Stage(f"{self.own_log}.scenes")

    def calls(self):
        """All that reached C++, after a look at what Python says of them."""
        native = read_calls(self.native_log)
        check_oracles(read_calls(self.own_log), native)
        return native


@pytest.fixture
def program(target, tmp_path, native_library):
    made = itertools.count()

    def make(*options, **numbers):
        folder = tmp_path / f"program-{next(made)}"
        return Program(target, folder, native_library, *options, **numbers)

    return make


@pytest.mark.parametrize("seed", SEEDS)
def test_every_verdict_of_a_process(target, program, gradwatch, seed):
    watched = program("--wait", seed=seed).start().ready()
    monitor = gradwatch("--rate", 0, "--pid", watched.pid).armed()
    watched.process.send("go")
    monitor.finish()  # by itself, with the process
    calls = watched.end().calls()
    assert compare(calls, monitor.violations, always, always) > 0
    check_ledger(monitor, calls)
    check_kinds(watched.stage(), monitor)
    assert check_findings(monitor, calls) > 0
    check_scenes(target, json.loads(watched.process.rest()[-1]))
    assert monitor.end_event["processes"] == 1
    assert {violation["pid"] for violation in monitor.violations} == {watched.pid}


def test_every_verdict_of_a_command(program, gradwatch):
    """Watched from before the library is loaded, so nothing may be missing at the start."""
    command = program(seed=2, calls=2000)
    monitor = gradwatch("--rate", 0, "--", *command.argv).finish()
    assert monitor.status == 0, monitor.stderr
    calls = command.calls()
    assert compare(calls, monitor.violations, always, always) > 0
    check_ledger(monitor, calls)


def test_every_verdict_of_all_processes(program, gradwatch):
    """Two processes at once; others on this machine may have findings of their own."""
    monitor = gradwatch("--rate", 0, "--all").armed()
    watched = [program(seed=seed, calls=2000).start() for seed in (3, 4)]
    for one in watched:
        one.end()
    monitor.stop()
    assert monitor.status == 0
    for one in watched:
        own = [event for event in monitor.violations if event["pid"] == one.pid]
        assert compare(one.calls(), own, always, always) > 0


def test_attach_and_detach_at_random_moments(program, gradwatch):
    dice = random.Random(5)
    watched = program("--until-eof", seed=5, calls=0).start().ready()
    monitors = []
    for _ in range(6):
        for _ in range(dice.randrange(1, 6)):  # some scenes later
            assert watched.process.line() is not None, watched.process.stderr
        monitor = gradwatch("--rate", 0, "--pid", watched.pid).armed()
        monitor.wait_for("change", dice.randrange(1, 400))
        monitor.told_to_stop = time.monotonic_ns()
        monitors.append(monitor.stop())
        assert monitor.status == 0
    watched.process.close_stdin()
    calls = watched.end(3 * DEADLINE).calls()
    for monitor in monitors:
        (start,) = monitor.of_type("start")
        assert compare(
            calls,
            monitor.violations,
            certainly=lambda call, m=monitor, s=start: (
                call["before_ns"] >= s["mono_ns"] and call["after_ns"] <= m.told_to_stop
            ),
            possibly=lambda call, m=monitor: call["before_ns"] <= m.end_event["mono_ns"],
        )
        assert all(violation["certain"] for violation in monitor.violations)
