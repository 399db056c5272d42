# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings: a scope is one, with the code it is in and what became of it."""

import json

import pytest

SCENES = """
import contextlib, ctypes, json, sys
import torch
from torch.fx.experimental.proxy_tensor import make_fx

x = torch.ones(3)

def nested(x):
    with torch.no_grad():
        y = x * 2
        with torch.enable_grad():
            y = y * 3
        y = y * 4
    return y

def by_value(x):
    with torch.set_grad_enabled(False):
        with torch.set_grad_enabled(True):
            x = x * 2
        x = x * 3
    return x

def in_a_row(x):
    for _ in range(3):
        with torch.no_grad():
            x = x * 2
    return x

def raises(x):
    try:
        with torch.no_grad():
            x = x * 2
            raise ValueError
    except ValueError:
        return x

def empty(x):
    with torch.no_grad():
        pass
    return x * 2

def suspended():
    with torch.no_grad():
        yield

def generator(x):
    generator.kept = suspended()
    next(generator.kept)
    return x * 2

@contextlib.contextmanager
def frozen():
    with torch.no_grad():
        yield

class Frozen:
    def __enter__(self):
        self.inner = torch.no_grad()
        self.inner.__enter__()
    def __exit__(self, *exception):
        self.inner.__exit__(*exception)

def own_manager(x):
    with frozen():
        return x * 2

def own_class(x):
    with Frozen():
        return x * 2

def wrapped(function):
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper

class Rotary:
    @torch.no_grad()
    @wrapped
    def forward(self, x):
        return x * 2

def decorated(x):
    return Rotary().forward(x)

def inference(x):
    with torch.no_grad():
        with torch.inference_mode():
            x = x * 2
        return x * 3

def after_inference(x):
    with torch.inference_mode():
        y = x * 2
    with torch.no_grad():
        return x * 3

def inference_last(x):
    with torch.no_grad():
        with torch.inference_mode():
            y = x * 2
    return x * 3

def undone(x):
    x = x * 2
    with torch.inference_mode():
        torch._C._set_grad_enabled(True)
        torch._C._set_grad_enabled(False)
        torch._C._set_grad_enabled(True)
        torch._C._set_grad_enabled(False)
    return x * 3

def clean(x):
    torch.set_grad_enabled(torch.is_grad_enabled())
    return x * 2

def storm(x):
    flip = torch._C._set_grad_enabled
    for _ in range(int(sys.argv[2]) // 2):
        flip(False)
        flip(True)
    return x

make_fx(globals()[sys.argv[1]])(x)
"""


@pytest.fixture
def findings(target, tmp_path, gradwatch):
    """Traces one of the functions above; returns its findings, and the monitor."""

    def run(scene, *arguments, options=()):
        source = tmp_path / "scenes.py"
        source.write_text(SCENES)
        argv = target.wrap(tmp_path, [target.python(), target.path(source), scene, *arguments])
        monitor = gradwatch(*options, "--", *argv).finish()
        assert monitor.of_type("end"), monitor.stderr
        return monitor.of_type("finding"), monitor

    return run


def grad(event):
    return event["from"]["grad"], event["to"]["grad"], event["restored"], event["operators"]


def line_of(text):
    """The (first) line of the program that has this text."""
    return next(i for i, line in enumerate(SCENES.split("\n"), 1) if text in line)


def test_nested_scopes(findings):
    inner, outer = findings("nested")[0]
    assert grad(outer) == (True, False, True, 3) and outer["manager"] in ("no_grad", None)
    assert grad(inner) == (False, True, True, 1)
    assert outer["user"]["line"] == line_of("with torch.no_grad()")
    assert inner["user"]["line"] == line_of("with torch.enable_grad()")
    assert {event["user"]["function"] for event in (inner, outer)} == {"nested"}
    assert outer["duration_ns"] > inner["duration_ns"] > 0


def test_three_calls_of_one_with_are_one_scope(findings):
    (inner, outer), monitor = findings("by_value")
    assert grad(outer) == (True, False, True, 2)
    assert grad(inner) == (False, True, True, 1)
    assert monitor.end_event["violations"] == 4
    assert monitor.end_event["findings"] == 2


def test_the_same_finding_is_counted(findings):
    (finding,), monitor = findings("in_a_row")
    assert finding["count"] == 1
    (repeated,) = monitor.of_type("repeated")
    assert (repeated["finding"], repeated["count"]) == (finding["finding"], 3)


def test_left_by_an_exception(findings):
    (finding,), _ = findings("raises")
    assert grad(finding) == (True, False, True, 1)


def test_empty_scope(findings):
    (finding,), _ = findings("empty")
    assert finding["empty"] and finding["severity"] == "low"


def test_suspended_in_a_scope(findings):
    """The generator is still in it when the trace ends: two findings."""
    scope, unbalanced = findings("generator")[0]
    assert grad(scope) == (True, False, False, 1)
    assert unbalanced["category"] == "unbalanced"
    assert unbalanced["from"]["grad"] and not unbalanced["to"]["grad"]


@pytest.mark.parametrize(
    ("scene", "manager", "use"),
    [("own_manager", "frozen", "with frozen()"), ("own_class", "Frozen", "with Frozen()")],
)
def test_own_context_manager(findings, scene, manager, use):
    (finding,), _ = findings(scene)
    assert manager in finding["user"]["function"] or "__enter__" in finding["user"]["function"]
    assert finding["caller"]["function"] == scene
    assert finding["caller"]["line"] == line_of(use)


def test_decorated_function(findings):
    (finding,), _ = findings("decorated")
    assert finding["decorator"] and finding["decorated"]["function"].endswith("forward")
    assert finding["user"]["line"] == line_of("Rotary().forward(x)")


def test_inference_mode_within_no_grad(findings):
    """The grad mode is off all the time: only the inference mode is a drift."""
    events = findings("inference")[0]
    (drift,) = [event for event in events if event["category"] == "drift"]
    assert drift["to"] == {"grad": False, "inference": True}
    assert drift["from"] == {"grad": False, "inference": False}
    assert drift["restored"] and drift["operators"] == 1
    (scope,) = [event for event in events if event["category"] == "scope"]
    assert grad(scope)[:3] == (True, False, True)


@pytest.mark.parametrize("scene", ["after_inference", "inference_last"])
def test_inference_mode_that_a_change_shows_to_be_left(findings, scene):
    """No operator sees it left before the setter is called: that is no second drift."""
    events, monitor = findings(scene)
    assert sorted(event["category"] for event in events) == ["drift", "scope"]
    assert all(event["restored"] and event["operators"] == 1 for event in events)
    assert monitor.end_event["drifts"] == 1


def test_changes_that_inference_mode_undoes(findings):
    """No operator is traced in another state than the one before it: nothing is told as bad."""
    events, monitor = findings("undone", options=["--fail"])
    assert len(monitor.violations) == 4
    assert {event["category"] for event in events} == {"scope"}
    assert {event["severity"] for event in events} == {"low"}
    assert monitor.end_event["drifts"] == 0


def test_clean_code(findings):
    events, monitor = findings("clean", options=["--fail"])
    assert not events and monitor.status == 0
    assert monitor.end_event["violations"] == 0


def test_suppressed(findings, tmp_path):
    accepted = tmp_path / "accepted"
    accepted.write_text("known make_fx */scenes.py nested\nother export * *\n")
    events, monitor = findings("nested", options=["--fail", "--suppress", accepted])
    assert monitor.status == 0
    assert [event["suppressed_by"] for event in events] == ["known"] * 2
    end = monitor.end_event
    assert (end["findings"], end["suppressed"]) == (0, 2)
    assert end["suppressions"] == {"known": 2, "other": 0}
    assert end["unused_suppressions"] == [2]
    assert "suppressed: known: 2 findings" in monitor.stderr


def test_printed_suppressions_accept_what_was_found(findings, tmp_path, target, binary):
    import subprocess

    source = tmp_path / "scenes.py"
    source.write_text(SCENES)
    argv = target.wrap(tmp_path, [target.python(), target.path(source), "nested"])
    accepted = tmp_path / "accepted"
    command = [binary, "--print-suppressions", "--output", accepted, "--", *argv]
    subprocess.run(command, capture_output=True, text=True, check=True)
    assert accepted.read_text()
    assert findings("nested", options=["--fail", "--suppress", accepted])[1].status == 0


def test_other_kinds_are_chosen(findings):
    events, monitor = findings("nested", options=["--fail", "--kinds", "export"])
    assert monitor.status == 0
    assert {event["severity"] for event in events} == {"info"}
    assert monitor.end_event["violations"] == 0 and monitor.end_event["infos"] == 4


def test_storm(findings):
    """A million changes in a trace: each is counted, few are told."""
    changes = 1_000_000
    _, monitor = findings("storm", str(changes))
    ledger = monitor.ledger
    assert ledger["reported"] + ledger["throttled"] + ledger["lost"] == changes
    assert ledger["throttled"] > changes * 0.9
    assert monitor.end_event["violations"] + ledger["lost"] == changes
    (end,) = monitor.of_type("trace_end")
    assert end["changes"] == changes
    json.dumps(end)
