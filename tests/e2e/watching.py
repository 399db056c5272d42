# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of watching have in common."""

import contextlib
import re
import time
from pathlib import Path

CHANGES_OF_SMALL = 2  # violations of puppet.py's small()
OPERATORS_OF_SMALL = 4


def verdicts(events):
    return [(event["from"], event["to"]) for event in events]


def threads_of(events):
    return {event["tid"] for event in events}


def wait_until(condition, timeout=30):
    """The kernel frees programs a little after their last user is gone."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def links(monitor):
    """The links by which it has probes placed; one may have several places."""
    found = 0
    for fd in Path(f"/proc/{monitor.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += bool(re.search(r"^link_type:\t(perf|uprobe_multi)$", fd.read_text(), re.M))
    return found
