# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that come and go: RATE a second for SECONDS, each of which makes one trace.

Each counts the changes of the grad mode that it makes in its trace. At the end a line of JSON says
how many each process has made, by pid.
"""

import contextlib
import json
import os
import pathlib
import struct
import sys
import time

import torch
from torch.fx.experimental.proxy_tensor import make_fx

RECORD = struct.Struct("ii")  # pid, changes; written at once
setter = torch._C._set_grad_enabled


def traced(changes):
    def body(x):
        for number in range(changes):
            setter(bool(number % 2))
        return x * 2

    make_fx(body)(torch.ones(2))
    return changes


def child(number, writing):
    made = traced(number % 7)
    os.write(writing, RECORD.pack(os.getpid(), made))
    os._exit(0)


def reap(options):
    """Waits for the processes that have ended; without WNOHANG for all."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def collect(reading, counts):
    """What has been written so far; a pid that is used again is another process."""
    while True:
        try:
            record = os.read(reading, RECORD.size)
        except BlockingIOError:
            return
        pid, made = RECORD.unpack(record)
        counts.setdefault(pid, []).append(made)


def main(rate, seconds):
    torch.set_num_threads(1)
    pathlib.Path("/proc/self/comm").write_text("churn")  # a test knows its processes by it
    traced(0)  # what the first trace loads is there for all of them
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    counts = {}
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.monotonic()
    for number in range(rate * seconds):
        time.sleep(max(0, begin + number / rate - time.monotonic()))
        if not os.fork():
            child(number, writing)
        reap(os.WNOHANG)
        collect(reading, counts)
    reap(0)
    collect(reading, counts)
    print(json.dumps(counts), flush=True)
    sys.stdin.readline()


main(int(sys.argv[1]), int(sys.argv[2]))
