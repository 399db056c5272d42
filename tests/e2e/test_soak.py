# SPDX-License-Identifier: GPL-2.0-or-later
"""
Processes come and go under `--all`: every change is counted, and nothing of gradwatch's grows.

GRADWATCH_SOAK is for how many seconds (20).
"""

import collections
import json
import os
import pathlib
import re
import time

import processes

SECONDS = int(os.environ.get("GRADWATCH_SOAK", "20"))
RATE = 20  # processes a second
GROWTH = 2.0  # MB
OF_A_PLAN = 40  # descriptors of programs, maps and links, at most


def held(pid):
    """What a process holds: resident memory in MB, and descriptors by what they are."""
    proc = pathlib.Path(f"/proc/{pid}")
    resident = int(re.search(r"VmRSS:\s+(\d+)", (proc / "status").read_text())[1]) / 1024
    descriptors = collections.Counter()
    for entry in (proc / "fd").iterdir():
        try:
            descriptors[re.sub(r"\d+", "", os.readlink(entry))] += 1
        except FileNotFoundError:
            continue
    return resident, descriptors


def sampled(pid, churn):
    """What a process holds, each second until the other one has an answer."""
    samples = []
    end = time.monotonic() + 4 * SECONDS + processes.DEADLINE  # a busy machine is slower
    while churn.lines.empty() and time.monotonic() < end:
        samples.append(held(pid))
        time.sleep(1)
    return samples


def of_churn(monitor, kind):
    return [event for event in monitor.of_type(kind) if event["comm"] == "churn"]


def changes_by_pid(monitor):
    """The changes in each trace of each process, in order: counted, and each reported."""
    reported = collections.Counter(event["trace"] for event in of_churn(monitor, "change"))
    counts = collections.defaultdict(list)
    for event in of_churn(monitor, "trace_end"):
        assert reported[event["trace"]] == event["changes"], event
        counts[event["pid"]].append(event["changes"])
    return counts


def test_nothing_grows(any_target, tmp_path, binary):
    churn = processes.Process(any_target.command(tmp_path, "churn.py", str(RATE), str(SECONDS)))
    assert churn.line() == "ready", churn.stderr
    monitor = processes.Gradwatch(binary, "--all", "--rate", "0").armed()
    churn.send("go")
    samples = sampled(monitor.pid, churn)
    made = {int(pid): counts for pid, counts in json.loads(churn.line()).items()}
    assert sum(map(len, made.values())) == RATE * SECONDS
    time.sleep(2)  # at rest, what has ended is forgotten within a second
    after = held(monitor.pid)
    churn.send("end")
    assert churn.wait() == 0, churn.stderr
    monitor.stop()

    counted = changes_by_pid(monitor)
    assert {pid: counted[pid] for pid in made} == made
    settled = samples[len(samples) // 4]
    print(json.dumps({"first": samples[0], "settled": settled, "last": samples[-1], "end": after}))
    assert after[0] <= settled[0] + GROWTH
    # Another PyTorch that something else on the machine has used meanwhile has programs and maps.
    others = len({event["torch"]["file"] for event in monitor.of_type("attached")}) - 1
    assert (after[1] - settled[1]).total() <= others * OF_A_PLAN
