# SPDX-License-Identifier: GPL-2.0-or-later
"""
gradwatch is killed or interrupted at random moments of a raise or a hold: no process stays stopped
or traced.

GRADWATCH_KILLS is how many times for each action (12).
"""

import hashlib
import json
import os
import random
import signal
import time

import processes
import pytest
from enforcing import threads_of

KILLS = int(os.environ.get("GRADWATCH_KILLS", "12"))


class Sturdy(processes.Process):
    """tests/programs/sturdy.py; keeps what it has verified of the chains."""

    def __init__(self, argv):
        super().__init__(argv)
        assert self.line() == "ready", self.stderr
        self.verified = [(0, b"first"), (0, b"second")]

    def report(self):
        self.send("report")
        told = json.loads(self.line(30))
        assert told["wrong"] == []
        for number, (length, value) in enumerate(told["chains"]):
            at, computed = self.verified[number]
            for _ in range(length - at):
                computed = hashlib.sha256(computed).digest()
            assert computed.hex() == value
            self.verified[number] = (length, computed)
        return told


def runs(process):
    return all(state not in "Tt" and not tracer for state, tracer in threads_of(process.pid))


def check_goes_on(process, context):
    """
    Within some seconds it runs, and goes on running: what ended last was no stop of a probe that
    was about to be removed.
    """
    end = time.monotonic() + 20
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 0.3:
        if not runs(process):
            quiet_since = time.monotonic()
        assert time.monotonic() < end, f"{threads_of(process.pid)} {context}"
        time.sleep(0.005)
    before = process.report()
    while process.report()["tried"] == before["tried"]:
        assert time.monotonic() < end, f"its traces stand still {context}: {process.stderr}"
        time.sleep(0.005)
    assert runs(process), context


def end_at_random(any_target, tmp_path, binary, action, longest, number):
    """Ends many by a signal, each at most `longest` seconds after its first action."""
    process = Sturdy(any_target.command(tmp_path, "sturdy.py"))
    options = ["--on-violation", action, "--enforce-kinds", "make_fx", "--rate", "0"]
    if action == "hold":
        options += ["--hold-timeout", "1"]
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    for count in range(KILLS):
        monitor = processes.Gradwatch(binary, "--pid", process.pid, *options)
        monitor.wait_for("action")
        time.sleep(dice.random() * longest)
        monitor.signal(number)
        if number == signal.SIGKILL:
            monitor.wait()
        else:
            monitor.finish()
            assert monitor.status == 0
            assert runs(process), f"{threads_of(process.pid)} end {count}, seed {seed}"
        processes.started.remove(monitor.popen)
        check_goes_on(process, f"end {count}, seed {seed}")
    assert (process.report()["raised"] > 0) == (action == "raise")
    process.close_stdin()
    assert process.wait() == 0, process.stderr


MOMENTS = pytest.mark.parametrize("action, longest", [("raise", 0.15), ("hold", 1.3)])


@MOMENTS
def test_killed(any_target, tmp_path, binary, action, longest):
    end_at_random(any_target, tmp_path, binary, action, longest, signal.SIGKILL)


@MOMENTS
def test_interrupted(any_target, tmp_path, binary, action, longest):
    """Then it is let go when gradwatch has ended, not some time later."""
    end_at_random(any_target, tmp_path, binary, action, longest, signal.SIGINT)
