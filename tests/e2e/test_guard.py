# SPDX-License-Identifier: GPL-2.0-or-later
"""With --began on, violations are what PyTorch's own guard raises for, in 64 kinds of export."""

import json

import pytest


@pytest.fixture
def guarded(target):
    if not (2, 2) <= target.version < (2, 9):
        pytest.skip("this PyTorch does not use its guard")
    return target


def look(target, tmp_path, gradwatch, *options):
    """By case: how often the guard raised, and how many violations there were."""
    argv = target.command(tmp_path, "guarded.py")
    monitor = gradwatch("--rate", 0, *options, "--", *argv).finish()
    assert monitor.status == 0, monitor.stderr
    lines = [line[line.index("{") :] for line in monitor.other if '"case"' in line]
    answers = [json.loads(line) for line in lines]
    assert len(answers) == 64, monitor.stderr
    seen = {}
    for answer in answers:
        events = [event for event in monitor.violations if event["comm"] == answer["case"]]
        seen[answer["case"]] = (answer["raised"], sum(not event["info"] for event in events))
    return seen, monitor


def test_agrees_with_the_guard(guarded, tmp_path, gradwatch):
    seen, monitor = look(guarded, tmp_path, gradwatch, "--began", "on")
    assert {case: raised for case, (raised, _) in seen.items()} == {
        case: violations for case, (_, violations) in seen.items()
    }
    assert sum(raised > 0 for raised, _ in seen.values()) >= 9, "the guard was not there"
    # What it lets be is seen, too: the trace began with grad off.
    exempt = [event for event in monitor.violations if event["info"]]
    assert exempt and all(event["began"]["grad"] is False for event in exempt)


def test_more_without(guarded, tmp_path, gradwatch):
    """Without the option, the changes in traces that began with grad off are violations as well."""
    seen, _ = look(guarded, tmp_path, gradwatch)
    assert all(violations >= raised for raised, violations in seen.values())
    assert any(violations > raised for raised, violations in seen.values())
