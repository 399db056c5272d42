# SPDX-License-Identifier: GPL-2.0-or-later
"""Many processes on one CPU that do nothing but call the stand-in's setter, each in its own state.

Usage: crowd.py LIBRARY PROCESSES SECONDS. Begins when it is told so by a line on standard input.
At its end it prints the number of calls of each kind: "redundant" (in a trace, sets the mode that
it has), "outside_trace" (in none, changes it) or "violations".
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "standin"))

from driver import PROXY, Library, ProxyTorchDispatchMode  # noqa: E402

KINDS = ("redundant", "outside_trace", "violations")


def call(library, kind, deadline):
    """Returns how often the setter was called."""
    mode = ProxyTorchDispatchMode()
    if kind != "outside_trace":
        library.push(mode, PROXY)
    values = (True, True) if kind == "redundant" else (False, True)
    count = 0
    while time.monotonic() < deadline:
        for _ in range(50):
            for value in values:
                library.set_enabled(value)
        count += 50 * len(values)
    if kind != "outside_trace":
        library.pop(PROXY)
    return count


def main():
    library, processes, seconds = Library(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.stdin.readline()
    deadline = time.monotonic() + seconds
    children = []
    for index in range(processes):
        read, write = os.pipe()
        kind = KINDS[index % len(KINDS)]
        pid = os.fork()
        if pid == 0:
            os.write(write, b"%d" % call(library, kind, deadline))
            os._exit(0)
        os.close(write)
        children.append((pid, kind, read))
    counts = dict.fromkeys(KINDS, 0)
    for pid, kind, read in children:
        counts[kind] += int(os.read(read, 100))
        os.waitpid(pid, 0)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
