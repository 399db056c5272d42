# SPDX-License-Identifier: GPL-2.0-or-later
"""--all with filters: who is watched is decided when a process maps PyTorch."""

import subprocess

import pytest


@pytest.fixture
def named(puppet):
    """A puppet that has its name before it maps PyTorch."""

    def start(name):
        program = puppet("--bare")
        program.tell(f"name {name.encode().hex()}")
        program.tell("load")
        return program

    return start


def one_finding(program):
    program.run("trace", "block no_grad", "operator", "end", "end")


def found_in(monitor):
    return {event["pid"] for event in monitor.of_type("finding")}


def test_only_one_name(gradwatch, named):
    chosen, other = named("chosen"), named("other")
    monitor = gradwatch("--all", "--comm", "chos*").armed()
    later = named("chosen2")
    for program in (other, chosen, later):
        one_finding(program)
    monitor.wait_for("finding", 2)
    monitor.stop()
    assert found_in(monitor) == {chosen.pid, later.pid}
    assert {event["pid"] for event in monitor.of_type("attached")} == {chosen.pid, later.pid}
    assert monitor.ledger["filtered"] >= 2  # the other one's calls


def test_excluded(gradwatch, named):
    excluded, other = named("excluded"), named("other")
    monitor = gradwatch("--all", "--exclude-comm", "excl*", "--user", "root").armed()
    one_finding(excluded)
    one_finding(other)
    monitor.wait_for(lambda event: event["type"] == "finding" and event["pid"] == other.pid)
    monitor.stop()
    assert excluded.pid not in found_in(monitor)


def test_children_and_exec(gradwatch, named):
    """A child is watched as its parent is; a program that replaces it is looked at anew."""
    program = named("chosen")
    monitor = gradwatch("--all", "--comm", "chosen").armed()
    answer = program.tell("fork trace;block no_grad;operator;end;end")
    monitor.wait_for("finding")
    program.send("exec")  # is called by the name of its file then
    program.answer()
    one_finding(program)
    monitor.stop()
    assert found_in(monitor) == {answer["pid"]}


def test_another_user(gradwatch, named):
    program = named("chosen")
    monitor = gradwatch("--all", "--user", "nobody").armed()
    one_finding(program)
    monitor.stop()
    assert not monitor.of_type("attached")
    assert monitor.ledger["hits"] == monitor.ledger["filtered"]


def test_not_without_all(binary):
    run = subprocess.run([binary, "--pid", "1", "--comm", "x"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "give --all, too" in run.stderr
