# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's maps of processes and traces are full: what does not fit is counted and reported."""

import ctypes
import errno
import os
import platform
import shutil
import struct
import sys
import time

import pytest
from mapping import LIBRARY, OURS
from processes import Process
from watching import wait_until

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]  # the system call
MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_FROM_ID, INFO = 1, 2, 3, 14, 15
FIRST = 1 << 30  # no pid is so high, and no trace has so small an id
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Table:
    """A map that gradwatch holds, by name."""

    def __init__(self, monitor, name):
        for entry in os.scandir(f"/proc/{monitor.pid}/fdinfo"):
            with open(entry.path, encoding="ascii") as file:
                fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
            if "map_id" not in fields:
                continue
            self.fd = bpf(MAP_FROM_ID, struct.pack("I", int(fields["map_id"])))
            info = ctypes.create_string_buffer(128)
            bpf(INFO, struct.pack("IIQ", self.fd, len(info), ctypes.addressof(info)))
            self.key_size, self.value_size, self.limit = struct.unpack_from("III", info, 8)
            if info.raw[24:40].rstrip(b"\0").decode() == name[:15]:
                return
            os.close(self.fd)
        raise AssertionError(f"no map {name}")

    def update(self, key, value=b""):
        key = ctypes.create_string_buffer(key.to_bytes(self.key_size, "little"))
        value = ctypes.create_string_buffer(value, self.value_size)
        addresses = ctypes.addressof(key), ctypes.addressof(value)
        bpf(MAP_UPDATE, struct.pack("IIQQQ", self.fd, 0, *addresses, 0))

    def remove(self, key):
        key = ctypes.create_string_buffer(key.to_bytes(self.key_size, "little"))
        bpf(MAP_DELETE, struct.pack("IIQ", self.fd, 0, ctypes.addressof(key)))

    def has(self, key):
        key = ctypes.create_string_buffer(key.to_bytes(self.key_size, "little"))
        value = ctypes.create_string_buffer(self.value_size)
        addresses = ctypes.addressof(key), ctypes.addressof(value)
        try:
            bpf(MAP_LOOKUP, struct.pack("IIQQQ", self.fd, 0, *addresses, 0))
        except OSError as error:
            assert error.errno == errno.ENOENT
            return False
        return True

    def fill(self):
        for key in range(FIRST, FIRST + self.limit):
            try:
                self.update(key)
            except OSError as error:
                assert error.errno == errno.E2BIG
                return self
        return self

    def claim(self):
        """Each slot of the array of threads, for a thread that there is not."""
        for slot in range(self.limit):
            self.update(slot, struct.pack("II", FIRST, 1))  # gw_thread.owner
        return self

    def close(self):
        os.close(self.fd)


def check_told(monitor, counter, count, words):
    assert monitor.end_event["counters"][counter] == count
    assert f"{words}: {count}" in monitor.stderr


def test_interpreters(puppet, gradwatch):
    """From user space for the process, from BPF for its child."""
    process = puppet("--bare")
    child = puppet("--bare")
    monitor = gradwatch(
        "--pid", process.pid, "--pid", child.pid, "--follow", "--fail-on", "unknown"
    ).armed()
    process.tell("load")
    process.tell("loop 1")
    table = Table(monitor, "interpreters").fill()
    process.send("fork loop 1")
    for _ in range(2):
        process.answer()
    child.tell("load")
    monitor.wait_for(lambda event: event["type"] == "attached" and event["pid"] == child.pid)
    child.tell("loop 1")
    process.end()
    child.end()
    monitor.finish()
    table.close()
    # Each once, however often it is tried again.
    check_told(monitor, "interpreters_full", 2, "processes without stacks, interpreter map full")
    assert monitor.stderr.count("the kernel's map of interpreters") == 1
    assert "processes whose stacks were not read" in monitor.stderr
    assert monitor.status == 3
    told = [(event["pid"], event["stack_status"]) for event in monitor.violations]
    assert told.count((process.pid, "whole")) == 2
    assert told.count((child.pid, "no_python")) == 2
    assert len(told) == 6 and len({pid for pid, _ in told}) == 3


def test_interpreters_when_there_is_room(puppet, gradwatch):
    """What did not fit is tried again as long as the process lives."""
    process = puppet("--bare")
    monitor = gradwatch("--pid", process.pid).armed()
    table = Table(monitor, "interpreters").fill()
    process.tell("load")
    monitor.wait_for("attached")
    process.tell("loop 1")
    assert not table.has(process.pid)
    table.remove(FIRST)
    wait_until(lambda: table.has(process.pid), 60)
    process.tell("loop 1")
    process.end()
    monitor.finish()
    table.close()
    assert [event["stack_status"] for event in monitor.violations] == ["no_python"] * 2 + [
        "whole"
    ] * 2


@pytest.mark.parametrize("look", [1, 2])
def test_told_of_after_its_end(gradwatch, shim, tmp_path, look):
    """BPF forgets a process at its end; what it is told of one that has ended, it forgets, too."""
    copy = tmp_path / "libc10.so"
    shutil.copyfile(LIBRARY, copy)
    program = f"""
import ctypes, time
for library in {str(LIBRARY)!r}, {str(copy)!r}:
    ctypes.CDLL(library)
    time.sleep(1)
time.sleep(60)
"""
    monitor = gradwatch(*OURS, env=shim(f"late-{look}")).armed()
    table = Table(monitor, "interpreters")
    process = Process([sys.executable, "-c", program])
    assert process.wait() < 0  # the shim has killed it
    time.sleep(1)
    assert not table.has(process.pid)
    monitor.stop()
    table.close()


def test_enforced(puppet, gradwatch):
    process = puppet("--bare")
    monitor = gradwatch("--pid", process.pid, "--on-violation", "kill").armed()
    table = Table(monitor, "enforced").fill()
    process.tell("load")
    monitor.wait_for("attached")
    process.tell("loop 1")
    process.end()
    monitor.finish()
    table.close()
    count = monitor.end_event["counters"]["enforced_full"]
    assert count > 0
    check_told(monitor, "enforced_full", count, "processes not acted in, map of enforced ones full")
    assert monitor.stderr.count("the kernel's map of enforced") == 1


def test_decisions(puppet, gradwatch):
    """It acts all the same, as it asks then."""
    process = puppet()
    options = ["--on-violation", "raise", "--dry-run", "--enforce-kinds", "make_fx"]
    monitor = gradwatch("--pid", process.pid, *options).armed()
    table = Table(monitor, "decisions").fill()
    process.tell("loop 2")
    process.end()
    monitor.finish()
    table.close()
    count = monitor.end_event["counters"]["decisions_full"]
    assert count >= 2
    check_told(
        monitor, "decisions_full", count, "traces asked about at each change, decision map full"
    )
    assert len(monitor.of_type("action")) == 2


RATE = 100
STORM = 20_000


def test_threads(puppet, gradwatch):
    """A thread without an entry: its verdicts are right, and it is limited as others are."""
    process = puppet()
    monitor = gradwatch("--pid", process.pid, "--rate", RATE).armed()
    table = Table(monitor, "threads").claim()
    process.run("@late trace", "@late set 0", "@late set 1")
    began = time.monotonic()
    process.tell(f"@late storm {STORM}")
    seconds = time.monotonic() - began
    process.run("@late end", "@late end")
    process.end()
    monitor.finish()
    table.close()
    first, second, *_ = monitor.violations
    assert [first["to"], second["to"]] == [False, True]
    assert first["trace"] is None and first["stack_status"] == "whole"
    assert monitor.ledger["reported"] + monitor.ledger["throttled"] == STORM + 2
    # At the begin as many as come in a second.
    assert monitor.ledger["reported"] <= RATE * (seconds + 2) + 2
    assert monitor.end_event["counters"]["threads_full"] > STORM


@pytest.mark.parametrize(
    ("name", "counter"), [("nests", "threads_full"), ("traces", "traces_full")]
)
def test_traces(puppet, gradwatch, name, counter):
    """A trace that cannot be kept: its changes are told all the same."""
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    table = Table(monitor, name).fill()
    process.run("@late trace", "@late set 0", "@late set 1", "@late end", "@late end")
    process.end()
    monitor.finish()
    table.close()
    assert [event["to"] for event in monitor.violations] == [False, True]
    assert all(event["trace"] is None for event in monitor.violations)
    assert monitor.end_event["counters"][counter] >= 2
    assert monitor.ledger["reported"] == 2 and monitor.end_event["lost"] == 0
