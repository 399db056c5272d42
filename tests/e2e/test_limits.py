# SPDX-License-Identifier: GPL-2.0-or-later
"""What is bounded: when it is full, that is told, counted, and the rest stays right."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECORD = 8 + 136 + 16 * 20  # the kernel's header, struct gw_event_record, some frames
RECORDS_OF_RING = (2 << 20) // RECORD  # GW_RING_BYTES: about
STORM = 3 * RECORDS_OF_RING
MAX_NESTING = 4  # GW_MAX_NESTING


def wait_until(condition, timeout=60):
    """For what nothing tells of."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def state_of(pid, tid=None):
    stat = Path(f"/proc/{pid}/task/{tid or pid}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0]


def pause(monitor):
    monitor.signal(signal.SIGSTOP)
    wait_until(lambda: state_of(monitor.pid) == "T")


def test_lost_records(target, puppet, gradwatch):
    """A storm while nobody reads: what is lost is counted, and told where it was lost."""
    storm = STORM
    process = puppet(on=target)
    monitor = gradwatch("--rate", 0, "--pid", process.pid).armed()
    process.run("trace", "set 0", "set 1")
    monitor.wait_for("change", 2)
    pause(monitor)
    process.tell(f"storm {storm}")
    monitor.signal(signal.SIGCONT)
    # Room again: the step between the records tells the gap.
    monitor.wait_for("change", 2 + RECORDS_OF_RING // 2)
    wait_until(lambda: ring_was_read(monitor, process))
    monitor.stop()
    lost = monitor.ledger["lost"]
    changes = sum(event["changes"] for event in monitor.of_type("trace_end"))
    assert 0 < lost < storm
    assert len(monitor.violations) + lost == changes
    assert changes >= 2 + storm
    assert monitor.ledger["reported"] + lost == changes
    assert monitor.end_event["lost"] == lost
    check_gap(monitor, lost)


def ring_was_read(monitor, process):
    """Changes the mode until such a change gets through, and so tells of the loss."""
    process.run("set 0", "set 1")
    while not monitor.lines.empty():
        monitor.next_event()
    return bool(monitor.of_type("lost"))


def check_gap(monitor, lost):
    gaps = monitor.of_type("lost")
    assert [gap["total"] for gap in gaps][-1] == lost
    assert sum(gap["count"] for gap in gaps) == lost
    kinds = [event["type"] for event in monitor.events]
    first = kinds.index("lost")
    assert kinds[:first].count("change") >= RECORDS_OF_RING // 2
    assert "change" in kinds[first:]  # in the middle, not at the end
    before = [event for event in monitor.events[:first] if event["type"] == "change"][-1]
    after = next(event for event in monitor.events[first:] if event["type"] == "change")
    assert before["mono_ns"] <= gaps[0]["mono_ns"] <= after["mono_ns"]


def test_lost_until_the_end(puppet, gradwatch):
    """No record comes after the gap that could tell of it."""
    process = puppet()
    monitor = gradwatch("--rate", 0, "--pid", process.pid, "--fail").armed()
    process.tell("trace")
    pause(monitor)
    process.tell(f"storm {STORM}")
    process.signal(signal.SIGKILL)
    process.popen.wait()
    monitor.signal(signal.SIGCONT)
    monitor.finish()
    lost = monitor.ledger["lost"]
    assert lost > 0 and monitor.ledger["reported"] + lost == STORM
    assert sum(event["count"] for event in monitor.of_type("lost")) == lost
    assert monitor.status == 3


def test_lost_by_many_threads(puppet, gradwatch):
    """All write to the ring at once; the sums still agree to the one."""
    storm = STORM
    process = puppet()
    names = ["@a", "@b", "@c"]
    monitor = gradwatch("--rate", 0, "--pid", process.pid).armed()
    # FX wants traces to end in the order of a stack: they are left open.
    for name in names:
        process.run(f"{name} trace")
    pause(monitor)
    for name in names:
        process.send(f"{name} storm {storm}")
    for _ in names:
        process.answer()
    monitor.signal(signal.SIGCONT)
    process.signal(signal.SIGKILL)
    monitor.finish()
    assert monitor.ledger["lost"] > 0
    assert monitor.ledger["reported"] + monitor.ledger["lost"] == len(names) * storm
    ends = monitor.of_type("trace_end")
    assert [event["changes"] for event in ends] == [storm] * len(names)


def test_deep_nesting(target, puppet, gradwatch):
    """More traces within each other than a thread has room for: every verdict is right."""
    depth = MAX_NESTING + 2
    process = puppet(on=target)
    monitor = gradwatch("--rate", 0, "--pid", process.pid).armed()
    for _ in range(depth):
        process.run("trace", "set 0", "set 1")
    for _ in range(depth):
        process.run("set 0", "set 0", "set 1", "end")
    process.run("set 0", "set 1")
    monitor.stop()
    calls = process.tell("calls")["calls"]
    expected = [(call["current"], call["new"]) for call in calls if call["violation"]]
    assert len(expected) == 4 * depth
    assert [(event["from"], event["to"]) for event in monitor.violations] == expected
    assert monitor.end_event["counters"]["nesting_full"] > 0
    assert monitor.ledger["redundant"] == depth
    assert monitor.ledger["outside_trace"] == 2
    process.end()


def test_many_threads(puppet, gradwatch):
    """Short ones, whose numbers come again: nothing of one is taken for another's."""
    count = 60
    process = puppet()
    monitor = gradwatch("--rate", 0, "--pid", process.pid).armed()
    tids = []
    for number in range(count):
        # Grad mode is per thread and on at first, so each first set is a change.
        first, *_ = process.run(*(f"@{number} {word}" for word in ("trace", "set 0", "end", "end")))
        tids.append(first["tid"])
    monitor.stop()
    assert [event["tid"] for event in monitor.violations] == tids
    assert monitor.end_event["traces"] == count
    assert all(event["seen_from_start"] for event in monitor.of_type("trace_begin"))
    process.end()


def test_thread_that_vanishes_in_a_trace(puppet, gradwatch):
    """Its trace is over at once, though its mode object lives on and the process, too."""
    process = puppet()
    monitor = gradwatch("--rate", 0, "--pid", process.pid).armed()
    (begin, *_) = process.run("@thread trace", "@thread set 0")
    process.send("@thread vanish")
    end = monitor.wait_for("trace_end")
    assert end["reason"] == "exit"
    assert end["tid"] == begin["tid"] and end["changes"] == 1
    assert not os.path.exists(f"/proc/{process.pid}/task/{begin['tid']}")
    process.run("trace", "set 0", "end", "set 1")
    monitor.stop()
    assert [event["tid"] for event in monitor.violations] == [begin["tid"], process.pid]


@pytest.mark.parametrize("attach", ["before", "after"])
def test_leader_that_vanishes(puppet, gradwatch, attach):
    """The process lives as long as any thread does, though it looks like a zombie."""
    process = puppet()
    process.tell("@thread set 1")
    if attach == "before":
        monitor = gradwatch("--rate", 0, "--pid", process.pid).armed()
    process.send("vanish")
    wait_until(lambda: state_of(process.pid) == "Z")
    if attach == "after":  # its mappings are to be found by way of another thread
        monitor = gradwatch("--rate", 0, "--pid", process.pid).armed()
    (begin, *_) = process.run("@thread trace", "@thread set 0", "@thread end", "@thread set 1")
    monitor.wait_for("trace_end")
    assert monitor.alive()
    process.signal(signal.SIGKILL)
    monitor.finish()
    assert monitor.status == 0
    assert [event["tid"] for event in monitor.violations] == [begin["tid"]]


def test_mappings_that_cannot_be_read_for_a_time(puppet, gradwatch):
    """Without a free descriptor a new process cannot be looked at: it is tried again."""
    first = puppet()
    monitor = gradwatch("--all").armed()
    monitor.wait_for(lambda event: event["type"] == "attached" and event["pid"] == first.pid)
    _, hard = resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE, (3, hard))
    second = puppet()
    resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE, (hard, hard))
    monitor.wait_for(lambda event: event["type"] == "attached" and event["pid"] == second.pid)
    monitor.stop()


MAP_OFTEN = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    for _ in range(int(sys.argv[2])):
        mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()
"""
MAPPINGS = 20_000  # more than there is room for in the ring of one processor


def test_mappings_that_are_lost(puppet, gradwatch):
    """gradwatch does not read them: then it looks at all processes, so none is missed."""
    monitor = gradwatch("--all").armed()
    pause(monitor)
    for cpu in os.sched_getaffinity(0):
        command = ["taskset", "-c", str(cpu), sys.executable, "-c", MAP_OFTEN, sys.executable]
        subprocess.run([*command, str(MAPPINGS)], check=True)
    process = puppet()
    monitor.signal(signal.SIGCONT)
    monitor.wait_for(lambda event: event["type"] == "attached" and event["pid"] == process.pid)
    process.tell("loop 1")
    process.end()
    monitor.stop()
    assert len([event for event in monitor.violations if event["pid"] == process.pid]) == 2


THREAD_SLOTS = 32768  # GW_MAX_THREADS


@pytest.fixture
def far_pids():
    """Thread ids beyond the number of slots, so that two threads can want the same slot."""
    limit = Path("/proc/sys/kernel/pid_max")
    before = limit.read_text()
    limit.write_text(str(1 << 22))
    yield Path("/proc/sys/kernel/ns_last_pid")
    limit.write_text(before)


def threads_that_follow(process, last_pid, name, ids):
    """Starts threads with these ids, or most of them: other programs start threads as well."""
    named = {}
    for wanted in ids:
        last_pid.write_text(str(wanted - 1))
        thread = f"{name}.{wanted}"
        tid = process.tell(f"@{thread} idle")["tid"]
        named[thread] = tid
        if tid != wanted:
            process.tell(f"@{thread} end")
            del named[thread]
    assert len(named) > len(ids) // 2, "the thread ids are taken"
    return named


def test_two_jobs_with_ids_of_the_same_slots(puppet, gradwatch, far_pids):
    """Threads whose ids follow each other, and others 32,768 apart: all have a trace each."""
    process = puppet()
    monitor = gradwatch("--rate", 0, "--pid", process.pid).armed()
    named = {}
    for job in range(4):
        base = 100_003 + job * THREAD_SLOTS
        named |= threads_that_follow(process, far_pids, f"job{job}", range(base, base + 24))
    for name in named:
        process.run(f"@{name} trace", f"@{name} set 0", f"@{name} set 1", f"@{name} end")
    for name in named:
        process.tell(f"@{name} end")
    monitor.stop()
    changes = [(event["tid"], event["to"]) for event in monitor.violations]
    assert sorted(changes) == sorted((tid, to) for tid in named.values() for to in (False, True))
    assert all(event["trace"] for event in monitor.violations)
    assert monitor.end_event["traces"] == len(named)
    assert monitor.end_event["counters"]["threads_full"] == 0
