# SPDX-License-Identifier: GPL-2.0-or-later
"""The kind of a trace is what the program did; clean models have no findings."""

import json

import pytest


def trace(target, tmp_path, gradwatch, model, *options):
    argv = target.command(tmp_path, "kinds.py", model)
    monitor = gradwatch("--rate", 0, *options, "--", *argv).finish()
    answers = [line[line.index("{") :] for line in monitor.other if '"way"' in line]
    ways = [json.loads(answer) for answer in answers]
    assert len(ways) >= 11, monitor.stderr
    return ways, monitor


def of_way(events, way):
    return [event for event in events if event["comm"] == way["way"][:15]]


@pytest.mark.parametrize("model", ["toggling", "clean"])
def test_kinds(target, tmp_path, gradwatch, model):
    ways, monitor = trace(target, tmp_path, gradwatch, model)
    seen = set()
    for way in ways:
        kinds = {event["kind"] for event in of_way(monitor.of_type("trace_begin"), way)}
        if way["kind"] == "decompose":
            kinds.discard("export")  # which comes first, and is a trace in old versions
        if way["kind"] in ("decompose", "export"):
            kinds.discard("pre_dispatch")  # what newer versions do by default
        assert kinds <= {way["kind"]}, way
        seen |= kinds
        for event in of_way(monitor.violations, way):
            assert event["kind"] in (way["kind"], "export", "pre_dispatch")
            assert event["info"] == (event["kind"] in ("compile", "pre_dispatch"))
    assert "make_fx" in seen
    if target.version >= (2, 2):
        assert {"decompose", "compile", "other"} <= seen


def test_clean_model(target, tmp_path, gradwatch):
    _, monitor = trace(target, tmp_path, gradwatch, "clean", "--fail")
    assert monitor.status == 0
    assert not monitor.violations
    assert {event["severity"] for event in monitor.of_type("finding")} <= {"info"}


def test_toggling_model(target, tmp_path, gradwatch):
    """In a compiled model it is no violation; else each trace that runs the toggle has one."""
    ways, monitor = trace(target, tmp_path, gradwatch, "toggling", "--fail")
    assert monitor.status == 3
    for way in ways:
        findings = of_way(monitor.violations, way)
        if way["kind"] in ("compile", "pre_dispatch"):
            assert all(event["info"] for event in findings)
        if way["kind"] == "pre_dispatch" and target.version >= (2, 13):
            assert {event["kind"] for event in findings} == {"pre_dispatch"}, way
        if way["kind"] in ("make_fx", "other") and not way["error"]:
            assert findings and not any(event["info"] for event in findings), way
