# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verdict of gradwatch against the stand-in's own, without PyTorch (tests/standin).

The stand-in knows what is right since it is the library: its driver asks it for the grad mode and
the modes in force before each call. Here those answers and gradwatch's events are put side by side.
"""

import collections
import contextlib
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

GRADWATCH = os.environ.get("GRADWATCH_BINARY", "")
STANDIN = Path(os.environ.get("GRADWATCH_STANDIN", ""))
DRIVER = Path(__file__).resolve().parent.parent / "standin" / "driver.py"
PATIENCE = 30  # seconds
READABLE = ["keyed", "pairs", "stack", "endbr64"]
CALLS = int(os.environ.get("GRADWATCH_STANDIN_CALLS", "1500"))

pytestmark = pytest.mark.skipif(
    not GRADWATCH or not STANDIN.is_dir(), reason="GRADWATCH_BINARY and GRADWATCH_STANDIN are unset"
)


class Reader:
    """JSON Lines of a stream, read by a thread of its own so that waiting can have an end."""

    def __init__(self, stream):
        self.seen = []
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.thread.start()

    def _read(self, stream):
        for line in stream:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def take(self, deadline):
        record = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
        if record is not None:
            self.seen.append(record)
        return record

    def wait_for(self, kind, **fields):
        """The next record of that kind with these fields."""
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(queue.Empty):
            while (record := self.take(deadline)) is not None:
                if record["type"] == kind and fields.items() <= record.items():
                    return record
        raise AssertionError(f"no {kind} {fields} among {self.seen[-5:]}")

    def rest(self):
        deadline = time.monotonic() + PATIENCE
        while self.take(deadline) is not None:
            pass


def of_type(records, kind):
    return [record for record in records if record["type"] == kind]


class Run:
    """The driver under gradwatch: both take part in one run, their outputs are kept apart."""

    def __init__(self, variant, attach):
        driver = [sys.executable, str(DRIVER), str(STANDIN / variant / "libc10.so")]
        pipe = subprocess.PIPE
        self.processes = []
        if attach:
            self.driver = self._start(driver, stdin=pipe, stdout=pipe)
            self.oracle = Reader(self.driver.stdout)
            self.gradwatch = None
        else:
            # Both write JSON Lines: the driver's go to another descriptor.
            read, write = os.pipe()
            shell = ["sh", "-c", f'exec "$0" "$@" >&{write}', *driver]
            self.gradwatch = self._start(
                [GRADWATCH, "--json", "--", *shell],
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                pass_fds=[write],
            )
            os.close(write)
            self.driver = self.gradwatch
            self.oracle_stream = os.fdopen(read)
            self.oracle = Reader(self.oracle_stream)
            self.events = Reader(self.gradwatch.stdout)
        self.oracle.wait_for("ready")
        if not attach:
            self.events.wait_for("attached")

    def _start(self, command, **options):
        process = subprocess.Popen(command, text=True, **options)
        self.processes.append(process)
        return process

    def attach(self):
        """Starts to watch the driver that is already running."""
        self.gradwatch = self._start(
            [GRADWATCH, "--json", "--pid", str(self.driver.pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.events = Reader(self.gradwatch.stdout)
        self.events.wait_for("start")
        self.attached = len(of_type(self.oracle.seen, "set"))

    attached = 0  # calls that were made before gradwatch watched

    def do(self, *commands):
        """Runs commands in the driver, and waits for the last."""
        for command in commands:
            self.driver.stdin.write(command + "\n")
        self.driver.stdin.flush()
        for command in commands:
            self.oracle.wait_for("done", command=command.split(" ", 1)[-1 if "@" in command else 0:][0] if "@" in command else command)

    def finish(self):
        """Ends both; the exit status of gradwatch must be good."""
        self.driver.stdin.close()
        self.oracle.rest()
        if self.driver is not self.gradwatch:
            assert self.driver.wait(PATIENCE) == 0
            self.gradwatch.send_signal(signal.SIGINT)
        self.events.rest()
        assert self.gradwatch.wait(PATIENCE) == 0

    def kill(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
