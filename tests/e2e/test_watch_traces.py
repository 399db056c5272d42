# SPDX-License-Identifier: GPL-2.0-or-later
"""Verdicts in special places, and the begin and end of traces."""

import signal

import pytest
from watching import CHANGES_OF_SMALL, OPERATORS_OF_SMALL, verdicts

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
    monitor.wait_for("change", 4)
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
    counts = {event["trace"]: event["changes"] for event in monitor.of_type("trace_end")}
    assert counts == {outer: 2, inner: 1}
    process.end()


def test_the_end_of_a_thread_ends_its_trace(puppet, gradwatch):
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    (begin, _) = process.run("@thread trace", "@thread set 0")
    process.send("end")  # the main thread ends, and with it the process: this one in the middle
    monitor.finish()
    process.wait()
    (end,) = monitor.of_type("trace_end")
    assert end["tid"] == begin["tid"] and end["changes"] == 1
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
    assert [event["changes"] for event in ends] == [CHANGES_OF_SMALL] * rounds
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
    assert end["reason"] == "idle" and end["changes"] == 1 and not end["seen_from_start"]
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
    monitor.wait_for("change")
    monitor.stop()
    (end,) = monitor.of_type("trace_end")
    assert end["reason"] == "detached"
    process.tell("set 1")
    process.end()
