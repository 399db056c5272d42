# SPDX-License-Identifier: GPL-2.0-or-later
"""Advice holds: applied to the program it removes the finding, and the program still traces."""

import json

import pytest

# case: (severity, category, advice) of what is found
FOUND = {
    "block": {("violation", "scope", "pre_dispatch_or_no_grad")},
    "step": {("violation", "scope", "pre_dispatch")},
    "nested": {("violation", "scope", "pre_dispatch")},
    "enabled": {("violation", "scope", "enable_grad")},
    "force": {("violation", "scope", "enable_grad")},
    "nested_off": {
        ("violation", "scope", "enable_grad"),
        ("violation", "scope", "pre_dispatch"),
    },
    "normed": {("violation", "scope", "pre_dispatch")},
    "strict": {
        ("violation", "scope", "export_pre_dispatch"),
        ("violation", "unbalanced", "export_pre_dispatch"),
    },
    "exp_enabled": {("violation", "scope", "export_pre_dispatch")},
    "region": {("note", "scope", "region")},
    "region_all": {("note", "scope", "region")},
    "region_on": {("note", "scope", "region")},
    "inference": {("violation", "drift", "inference_mode")},
    "inf_off": {("violation", "drift", "no_inference_mode")},
    "inf_false": {
        ("violation", "drift", "enable_grad_recorded"),
        ("violation", "scope", "pre_dispatch"),
    },
    "left_off": {
        ("violation", "unbalanced", "balance"),
        ("violation", "scope", "pre_dispatch_or_no_grad"),
    },
    "hand": {("violation", "scope", "no_grad")},
    "hand_on": {("violation", "scope", "enable_grad")},
    "decomposed": {("violation", "scope", None)},
    "compiled": {("info", "scope", "compile")},
    "recorded": {("info", "scope", "recorded")},
}

# case: a call that the graph has when the advice was applied
HAS = {
    "block": "_set_grad_enabled",
    "step": "_set_grad_enabled",
    "nested": "_set_grad_enabled",
    "enabled.pre": "_set_grad_enabled",
    "nested_off": "_set_grad_enabled",
    "normed": "_set_grad_enabled",
    "strict": "wrap_with_set_grad_enabled",
    "inference": "_set_grad_enabled",
    "step_inf": "_set_grad_enabled",
    "inf_false": "_set_grad_enabled",
}


@pytest.fixture(scope="session")
def advised(target):
    if target.version < (2, 13):
        pytest.skip("its pre-dispatch traces record nothing that can be seen")


def look(target, tmp_path, gradwatch, mode):
    """The answers by case, and the findings."""
    argv = target.command(tmp_path, "advised.py", mode)
    monitor = gradwatch("--", *argv).finish()
    assert monitor.status == 0, monitor.stderr
    lines = [line[line.index("{") :] for line in monitor.other if '"case"' in line]
    answers = {answer["case"]: answer for answer in map(json.loads, lines)}
    assert answers, monitor.stderr
    return answers, monitor


def of_case(events, case):
    return [event for event in events if event["comm"] == case]


def test_what_is_advised(advised, target, tmp_path, gradwatch):
    answers, monitor = look(target, tmp_path, gradwatch, "plain")
    for case, expected in FOUND.items():
        assert not answers[case]["error"], answers[case]
        found = of_case(monitor.of_type("finding"), case)
        told = {(event["severity"], event["category"], event["advice"]) for event in found}
        told.discard(("info", "drift", "nothing"))  # the backward pass's own
        assert told == expected, case
    for case in ("region", "region_all", "region_on"):
        assert "wrap_with_set_grad_enabled" in answers[case]["calls"]
    # autograd's own change, which 2.14 does not let be told from other C++ code
    (custom,) = of_case(monitor.of_type("finding"), "custom")
    assert custom["advice"] in ("nothing", None)
    assert {event["advice"] for event in of_case(monitor.of_type("finding"), "autograd")} == {
        "nothing"
    }
    assert "no_grad_recorded" in {
        event["advice"] for event in of_case(monitor.of_type("finding"), "step_inf")
    }
    graph, eager = answers["block"]["gradients"]
    assert graph != eager, "the graph is right without the advice"
    assert monitor.end_event["notes"] == 3


def test_advice_holds(advised, target, tmp_path, gradwatch):
    """Each is applied: no finding is left but what is information."""
    answers, monitor = look(target, tmp_path, gradwatch, "applied")
    for case, answer in answers.items():
        assert not answer["error"], answer
        found = of_case(monitor.of_type("finding"), case)
        found = {(event["severity"], event["category"]) for event in found}
        if case == "strict":  # as the advice says: what the export records is a region
            assert found == {("note", "scope")}
        elif case == "left_off":  # put back, it is a change like others
            assert found == {("violation", "scope")}
        else:
            assert {severity for severity, _ in found} <= {"info"}, case
        graph, eager = answer.get("gradients", (None, None))
        assert graph == eager, case
        if case in HAS:
            assert HAS[case] in answer["calls"], answer
        elif not case.startswith("hand"):
            assert answer["calls"] and "wrap_with_set_grad_enabled" not in answer["calls"]


def test_why_not_around_a_training_step(advised, target, tmp_path, gradwatch):
    """What is advised for inference would make it raise: so it is not advised there."""
    answers, _ = look(target, tmp_path, gradwatch, "wrong")
    assert "does not require grad" in answers["step"]["error"]


@pytest.mark.parametrize(
    ("options", "program", "status"),
    [
        (["--fail"], "region", 0),
        (["--fail-on", "note"], "region", 3),
        (["--fail-on", "violation,drift,unknown"], "region", 0),
        (["--fail"], "block", 3),
        (["--fail-on", "drift,note"], "block", 0),
        (["--fail-on", "drift"], "inference", 3),
        (["--fail-on", "violation"], "inference", 0),
        (["--fail", "--began", "on"], "enabled", 0),
        (["--fail", "--began", "any"], "enabled", 3),
        (["--fail", "--began", "on"], "block", 3),
    ],
)
def test_fail_on(advised, target, tmp_path, gradwatch, options, program, status):
    argv = target.command(tmp_path, "advised.py", "plain", program)
    monitor = gradwatch(*options, "--", *argv, json_lines=False).finish()
    assert monitor.status == status, monitor.stderr
    assert ("--fail-on: there were" in monitor.stderr) == (status == 3)


def test_began(advised, target, tmp_path, gradwatch):
    """--began on: a trace that began with grad off has no violations."""
    argv = target.command(tmp_path, "advised.py", "plain", "enabled")
    monitor = gradwatch("--began", "on", "--", *argv).finish()
    (finding,) = monitor.of_type("finding")
    assert finding["severity"] == "info" and finding["began"]["grad"] is False
    assert all(event["info"] for event in monitor.violations)
    assert monitor.end_event["violations"] == 0 and monitor.end_event["infos"] == 2


def enforce(target, tmp_path, gradwatch, case, *options):
    argv = target.command(tmp_path, "advised.py", "plain", case)
    action = ["--on-violation", "kill", "--enforce-kinds", "make_fx", *options]
    return gradwatch(*action, "--", *argv).finish()


def test_began_is_not_acted_on(advised, target, tmp_path, gradwatch):
    """With --began on, what is information is not acted on; what is a violation still is."""
    monitor = enforce(target, tmp_path, gradwatch, "enabled", "--began", "on")
    assert monitor.status == 0 and not monitor.of_type("action")
    monitor = enforce(target, tmp_path, gradwatch, "enabled")
    assert monitor.status != 0 and monitor.of_type("action")
    monitor = enforce(target, tmp_path, gradwatch, "block", "--began", "on")
    assert monitor.status != 0 and monitor.of_type("action")
