# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of acting on violations have in common."""

import contextlib
import json
import time
from pathlib import Path

import processes


class Enforced(processes.Process):
    """tests/programs/enforced.py, up to where it waits to be told to begin."""

    def __init__(self, argv, **options):
        super().__init__(argv, **options)
        assert self.line() == "ready", self.stderr

    def go(self):
        self.send("go")

    def attempts(self):
        line = self.line()
        assert line is not None, f"it ended: {self.stderr}"
        return json.loads(line)


def threads_of(pid):
    """(state, pid of its tracer) of each thread."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = (task / "status").read_text().splitlines()
            fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            found.append((fields["State"][0], int(fields["TracerPid"])))
    return found


def state_of(pid):
    """Its state, None when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def watchdog_of(monitor):
    """The pid of its watchdog, None: it has none at the moment."""
    children = Path(f"/proc/{monitor.pid}/task/{monitor.pid}/children").read_text().split()
    for pid in map(int, children):
        with contextlib.suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text()
            if name == "gradwatch-dog\n" and state_of(pid) != "Z":
                return pid
    return None


def wait_until(condition, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


def watch(gradwatch, process, *arguments, **options):
    arguments = ("--enforce-kinds", "make_fx", *arguments)
    return gradwatch("--pid", process.pid, "--rate", 0, *arguments, **options).armed()


def actions(monitor, outcome=None):
    events = monitor.of_type("action")
    return [event for event in events if outcome in (None, event["outcome"])]


def held(monitor, process):
    event = monitor.wait_for(lambda event: event["type"] == "action")
    assert (event["action"], event["outcome"]) == ("hold", "performed")
    assert state_of(process.pid) == "T"
    return event
