# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that are interrupted in their middle, and run by the next process on that CPU.

The guests' kernels are started with preempt=full where they know it (5.12 and later). Without what
bpf/probe.bpf.h says, the kernel of one from 6.13 on oopses here within seconds.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GRADWATCH = os.environ.get("GRADWATCH_BINARY", "")
STANDIN = Path(os.environ.get("GRADWATCH_STANDIN", "/nonexistent"))
CROWD = Path(__file__).resolve().parent.parent / "programs" / "crowd.py"


PROCESSES = "9"
SECONDS = "5"


@pytest.mark.parametrize("variant", ["keyed", "stack"])
def test_many_on_one_cpu(tmp_path, variant):
    result = tmp_path / "result"
    library = STANDIN / variant / "libc10.so"
    crowd = [sys.executable, CROWD, library, PROCESSES, SECONDS, result]
    gradwatch = subprocess.Popen(
        [GRADWATCH, "--json", "--", *crowd],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while json.loads(gradwatch.stdout.readline())["type"] != "attached":
        pass
    events = [json.loads(line) for line in gradwatch.communicate("\n")[0].splitlines()]
    calls = json.loads(result.read_text())
    ledger = events[-1]["ledger"]
    assert ledger["hits"] == sum(calls.values())
    assert ledger["redundant"] == calls["redundant"]
    assert ledger["outside_trace"] == calls["outside_trace"]
    found = ledger["reported"] + ledger["throttled"] + ledger["lost"]
    assert found == calls["violations"]
    assert sum(event["type"] == "violation" for event in events) == ledger["reported"] > 0
