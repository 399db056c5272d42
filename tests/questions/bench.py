# SPDX-License-Identifier: GPL-2.0-or-later
"""All questions to a big fleet, with DuckDB: bench.py FOLDER [--records N] [--rounds N] [--check].

A benchmark, not a test: medians of wall and processor time. FOLDER is made if it is not there.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import generate
import oracle

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "fleet" / "fleet.py"


def ask(folder, threads):
    """Wall and processor seconds, and the answer."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, TOOL, "--json", "--threads", str(threads)]
    result = subprocess.run(
        [*command, "--nodes", folder / "nodes.txt", folder / "log"],
        stdout=subprocess.PIPE,
        check=True,
    )
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss / 1e6, json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="count in Python, too (minutes)")
    arguments = parser.parse_args()
    folder = arguments.folder
    if not (folder / "nodes.txt").exists():
        print(f"writing {arguments.records:,} records to {folder}", flush=True)
        generate.fleet(folder, 1000, arguments.records, seed=1)
    rounds = [ask(folder, arguments.threads) for _ in range(arguments.rounds)]
    walls, cpus, memory, answers = zip(*rounds)
    facts = answers[0]["stands-on"]
    files = [path for path in (folder / "log").rglob("*.jsonl*")]
    size = sum(path.stat().st_size for path in files) / 1e9
    print(f"{facts['records']:,} records and {facts['duplicates']:,} copies of some")
    print(f"{len(files):,} segments, {size:.1f} GB on the disk; load {os.getloadavg()[0]:.1f}")
    for name, times in (("wall", walls), ("processor", cpus)):
        every = ", ".join(f"{one:.1f}" for one in times)
        print(f"{name:9} median {statistics.median(times):.1f} s of {every}")
    print(f"memory    {max(memory):.1f} GB; {arguments.threads} threads")
    if arguments.check:
        hosts = (folder / "nodes.txt").read_text().split()
        same = oracle.answers(folder / "log", hosts) == answers[0]
        print("the count in Python is " + ("the same" if same else "NOT the same"))
        sys.exit(not same)


if __name__ == "__main__":
    main()
