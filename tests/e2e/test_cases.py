# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of small programs, each made after a public report (tests/programs/cases)."""

import collections
import re

import pytest
import targets
from processes import Process


def line_of(case, mark="CULPRIT"):
    """The line of a case that has a mark in its comment."""
    lines = (targets.PROGRAMS / "cases" / case).read_text().splitlines()
    (number,) = [n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]
    return number


def counts(monitor):
    """How often each finding that everyone is shown has occurred, by what it says."""
    total = {event["finding"]: event["count"] for event in monitor.of_type("finding")}
    total.update({event["finding"]: event["count"] for event in monitor.of_type("repeated")})
    found = collections.Counter()
    for event in monitor.of_type("finding"):
        if event["severity"] not in ("violation", "low"):
            continue
        if event["whose"] == "cpp":  # Function.apply, where it has no frame (2.14)
            continue
        direction = "on" if event["to"]["grad"] else "off"
        line = (event["user"] or {}).get("line")
        key = (event["severity"], event["category"], direction, line, event["restored"])
        found[key] += total[event["finding"]]
    return found


@pytest.fixture
def findings(gradwatch, target, tmp_path):
    """Runs a case, and returns its monitor and what counts() says of it."""

    def run(case, *options, status=0):
        command = target.command(tmp_path, f"cases/{case}")
        monitor = gradwatch(*options, "--", *command).finish()
        assert monitor.status == status
        return monitor, counts(monitor)

    return run


def test_information_absorbs_nothing(findings):
    case = "information_first.py"
    _, found = findings(case, "--fail", status=3)
    assert found == {("violation", "scope", "off", line_of(case), True): 1}


def test_empty_block_absorbs_nothing(findings):
    case = "empty_first.py"
    _, found = findings(case)
    assert found == {
        ("low", "scope", "off", line_of(case), True): 1,
        ("violation", "scope", "off", line_of(case), True): 2,
    }


def test_each_occurrence_is_restored_or_not(findings):
    case = "restored_then_not.py"
    _, found = findings(case)
    unbalanced = [key for key in found if key[1] == "unbalanced"]
    assert [found.pop(key) for key in unbalanced] == [1]
    assert found == {
        ("violation", "scope", "off", line_of(case), True): 3,
        ("violation", "scope", "off", line_of(case), False): 1,
    }


def test_backward_that_leaves_grad_on(findings):
    case = "backward_with_block.py"
    _, found = findings(case)
    assert [key for key in found if key[1] != "scope"] == []
    assert {key[3] for key in found} <= {line_of(case)}


def test_throttled_in_pairs(findings):
    case = "many_blocks.py"
    monitor, found = findings(case)
    assert monitor.ledger["throttled"] > 0
    assert set(found) == {
        ("low", "scope", "off", line_of(case, "EMPTY"), True),
        ("violation", "scope", "off", line_of(case), True),
    }
    dropped = {event["throttled"] for event in monitor.of_type("repeated")}
    assert monitor.ledger["throttled"] in dropped
    assert 2 * sum(found.values()) == monitor.ledger["reported"]


def test_drift_in_a_block(findings):
    case = "inference_off.py"
    _, found = findings(case)
    assert found == {
        ("violation", "drift", "on", line_of(case, "DRIFT"), True): 1,
        ("violation", "scope", "off", line_of(case), True): 1,
    }


def test_attach_in_a_block(gradwatch, target, tmp_path):
    """What a block did that began before gradwatch came is not known; that it has ended is."""
    case = "attach_in_block.py"
    process = Process(target.command(tmp_path, f"cases/{case}"))
    assert process.line() == "waits"
    monitor = gradwatch("--pid", process.pid).armed()
    process.send("")
    process.close_stdin()
    assert process.wait() == 0
    monitor.finish()
    (finding,) = monitor.of_type("finding")
    assert finding["before_attach"]
    assert finding["severity"] == "low"
    assert finding["user"]["line"] == line_of(case)


def test_numbers_that_were_shown(gradwatch, target, tmp_path):
    """A finding that is said to occur again was shown with that number."""
    command = target.command(tmp_path, "cases/whole_step.py")
    monitor = gradwatch("--", *command, json_lines=False).finish()
    text = "\n".join([*monitor.other, monitor.stderr])
    shown = re.findall(r"^\S+ +[A-Za-z]+ .* finding (\d+)$", text, re.MULTILINE)
    again = re.findall(r"finding (\d+) again: (\d+) times in all", text)
    assert len(shown) == 1
    assert again == [(shown[0], "4")]


def places(monitor, name="user"):
    """File and line of a place of each finding of a scope, in order; None where it has none."""
    found = [event[name] for event in monitor.of_type("finding") if event["category"] == "scope"]
    return [place and (place["file"].rpartition("/")[2], place["line"]) for place in found]


def test_function_modes(findings):
    case = "function_modes.py"
    monitor, _ = findings(case)
    lines = [line_of(case, mark) for mark in ("MODE", "SUBCLASS", "BENEATH")]
    assert places(monitor) == [(case, line) for line in lines]


def test_decorated_objects(findings):
    """The user's own function, or none (thrice, one finding), but never PyTorch's inner ones."""
    case = "decorated_objects.py"
    monitor, _ = findings(case)
    culprit, direct = line_of(case), line_of(case, "DIRECT")
    assert places(monitor) == [(case, culprit)] * 4 + [(case, direct)]
    net, call, hook = ((case, line_of(case, mark)) for mark in ("NET", "CALL", "HOOK"))
    assert places(monitor, "decorated") == [net, None, call, hook, net]


def test_code_without_a_file(findings):
    """What looks like PyTorch's or Python's own file by its name is the user's all the same."""
    monitor, _ = findings("no_file.py")
    scopes = [event for event in monitor.of_type("finding") if event["category"] == "scope"]
    found = [(event["user"]["function"], event["user"]["line"]) for event in scopes]
    assert found == [("helper", 3)] * 7 + [("<lambda>", 1)]
    assert {event["kind"] for event in scopes} == {"make_fx"}


def test_torch_in_a_folder_of_another_name(findings):
    case = "linked_torch.py"
    monitor, _ = findings(case)
    lines = [line_of(case, mark) for mark in ("FIRST", "SECOND")]
    assert places(monitor) == [(case, line) for line in lines]
    assert {event["kind"] for event in monitor.of_type("finding")} == {"make_fx"}
    assert {event["manager"] for event in monitor.of_type("finding")} == {"no_grad"}
