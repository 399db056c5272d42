# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests have in common that map a libc10.so without the weight of Python."""

import os
from pathlib import Path

from processes import Process

STANDIN = Path(os.environ.get("GRADWATCH_STANDIN", "/nonexistent"))
LIBRARY = STANDIN / "keyed" / "libc10.so"
# Whatever this test starts, and nothing else of the machine: each call is to be counted.
OURS = ("--pid", os.getpid(), "--follow")
LINGER = 10  # seconds that a file's probes stay after the last process that maps it

# A program: maps the files that it is given, says so, and waits for its input's end.
MAP_FILES = """
import mmap, sys
kept = []
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        kept.append(mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))
print("up", flush=True)
sys.stdin.read()
"""


class Mapper(Process):
    """tests/programs/mapper.c: maps a library and calls its setter when it is told to."""

    def __init__(self, program, library, calls=10, threads=1, pause=None):
        argv = [str(program), str(threads), str(calls), str(library)]
        super().__init__(argv + ([] if pause is None else [str(pause)]))
        assert self.line() == "mapped", self.stderr


def call(process):
    process.send("")
    assert process.line() == "called", process.stderr


def end(*processes):
    for process in processes:
        process.close_stdin()
        assert process.wait() == 0, process.stderr


def attached(monitor, *processes):
    pids = {process.pid for process in processes}
    monitor.wait_for(lambda event: event["type"] == "attached" and event["pid"] in pids, len(pids))


def descriptors(monitor):
    return len(os.listdir(f"/proc/{monitor.pid}/fd"))
