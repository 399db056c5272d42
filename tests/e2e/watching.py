# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of watching have in common."""

import time

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
