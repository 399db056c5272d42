# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that are interrupted in their middle, and run by the next process on that CPU.

The guests' kernels are started with preempt=full where they know it (5.12 and later). Without what
bpf/probe.bpf.h says, the kernel of one from 6.13 on oopses here within seconds.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "e2e"))

import processes  # noqa: E402

GRADWATCH = os.environ["GRADWATCH_BINARY"]
STANDIN = os.environ["GRADWATCH_STANDIN"]
PROCESSES = 9
SECONDS = 5


@pytest.fixture(autouse=True)
def cleanup():
    yield
    processes.kill_all()


@pytest.mark.parametrize("variant", ["keyed", "stack"])
def test_many_on_one_cpu(variant):
    crowd = [TESTS / "programs" / "crowd.py", f"{STANDIN}/{variant}/libc10.so", PROCESSES, SECONDS]
    monitor = processes.Gradwatch(GRADWATCH, "--", sys.executable, *crowd, stdin=subprocess.PIPE)
    monitor.wait_for("attached")
    monitor.send("go")
    monitor.finish()
    (answer,) = monitor.other
    calls, ledger = json.loads(answer), monitor.ledger
    assert ledger["hits"] == sum(calls.values())
    assert ledger["redundant"] == calls["redundant"]
    assert ledger["outside_trace"] == calls["outside_trace"]
    found = ledger["reported"] + ledger["throttled"] + ledger["lost"]
    assert found == calls["violations"]
    assert len(monitor.violations) == ledger["reported"] > 0
