# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads one large log with gradwatch and with others, side by side: make bench-log.

The log is made of the records of real runs (make_log.c). Each reader runs as a process of its own,
in turns; what counts is its processor time, so the readers that use one thread can be compared on a
machine that has other work. All must come to the same counts. Memory must not grow with the log:
--large measures that on another one, of 10 GiB for instance.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]

PYTHON = """
import collections, json, pathlib, sys
counts = collections.Counter()
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jsonl")):
    with path.open("rb") as file:
        for line in file:
            counts[json.loads(line)["type"]] += 1
print(json.dumps(counts))
"""

DUCKDB = """
import json, sys, duckdb
duckdb.sql("set threads = 1")
duckdb.sql("set enable_progress_bar = false")
print(json.dumps(dict(duckdb.execute(
    "select type, count(*) from read_json(?, format = 'newline_delimited',"
    " columns = {type: 'VARCHAR'}, records = true) group by all",
    [sys.argv[1] + "/*.jsonl"]).fetchall())))
"""

# A process begins with the peak memory of the one that it is forked from: this one is small.
LAUNCH = """
import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""

JQ = "jq -nc 'reduce inputs as $r ({}; .[$r.type] += 1)' \"$1\"/*.jsonl"


def counts_of_report(text):
    """What the other readers count, from the totals of a report."""
    totals, read = text["totals"], text["read"]
    return {
        "records": read["records"],
        "change": totals["violations"] + totals["infos"],
        "trace_begin": totals["traces"],
    }


def counts_of_types(text):
    return {
        "records": sum(text.values()),
        "change": text["change"],
        "trace_begin": text["trace_begin"],
    }


def readers(arguments, log):
    """Name: (argv, what makes counts of its output)."""
    report = [arguments.build / "gradwatch", "report", "--json", log]
    return {
        "gradwatch report": (report, counts_of_report),
        "gradwatch report --fast": ([*report, "--fast"], counts_of_report),
        "jq": (["sh", "-c", JQ, "jq", log], counts_of_types),
        "Python json": ([sys.executable, "-c", PYTHON, log], counts_of_types),
        "DuckDB, one thread": ([arguments.peers, "-c", DUCKDB, log], counts_of_types),
    }


def run(argv):
    """Its output, seconds of processor time and peak memory in kB; None: it is not there."""
    with tempfile.TemporaryFile() as output:
        command = [sys.executable, "-SEc", LAUNCH, *map(str, argv)]
        result = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
        if result.returncode:
            return None
        output.seek(0)
        seconds, peak = result.stderr.splitlines()[-1].split()
        return json.loads(output.read()), float(seconds), int(peak)


def make_log(arguments, folder, size):
    log = folder / f"log-{size}"
    program = arguments.build / "bench" / "make_log"
    subprocess.run([program, log, str(size), *arguments.source], check=True)
    return log, sum(path.stat().st_size for path in log.glob("*.jsonl"))


def measure(arguments, log):
    """{reader: [seconds]}, {reader: kB}; of those that are there."""
    seconds, memory, counts = {}, {}, {}
    for _ in range(arguments.rounds):
        for name, (argv, count) in readers(arguments, log).items():
            result = run(argv)
            if not result:
                continue
            seconds.setdefault(name, []).append(result[1])
            memory[name] = max(memory.get(name, 0), result[2])
            counts[name] = count(result[0])
    first = next(iter(counts.values()))
    for name, found in counts.items():
        if found != first:
            sys.exit(f"bench_log: {name} counts {found}, others {first}")
    return seconds, memory


def report_memory(arguments, folder, size):
    """The peak for a log of another size, which nobody else reads."""
    log, written = make_log(arguments, folder, size)
    for name, (argv, _) in list(readers(arguments, log).items())[:2]:
        _, seconds, peak = run(argv)
        rate = written / 1e6 / seconds
        print(f"{name} of {written / 1e6:.0f} MB: {peak / 1000:.1f} MB, {rate:.0f} MB/s")
    shutil.rmtree(log)


def table(seconds, memory, size):
    base = statistics.median(seconds["jq"]) if "jq" in seconds else None
    yield f"{'reader':24}  {'MB/s':>7}  {'x jq':>6}  {'peak MB':>8}"
    for name, values in seconds.items():
        middle = statistics.median(values)
        times = f"{base / middle:6.1f}" if base else "     -"
        yield f"{name:24}  {size / 1e6 / middle:7.0f}  {times}  {memory[name] / 1000:8.1f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=REPO / "build")
    parser.add_argument("--peers", default=sys.executable, help="a Python that has duckdb")
    parser.add_argument("--size", type=int, default=1 << 30, help="bytes of the log")
    parser.add_argument("--large", type=int, help="bytes of one more log, for its memory")
    parser.add_argument("--folder", type=pathlib.Path, help="where the logs are made: the build's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("source", nargs="*", type=pathlib.Path, help="plain segments of real runs")
    arguments = parser.parse_args()
    arguments.source = arguments.source or [REPO / "tests" / "logs" / "kinds-2.13.jsonl"]
    folder = pathlib.Path(
        tempfile.mkdtemp(prefix="bench-log-", dir=arguments.folder or arguments.build)
    )
    try:
        log, size = make_log(arguments, folder, arguments.size)
        seconds, memory = measure(arguments, log)
        print(f"{size / 1e6:.0f} MB, median of {arguments.rounds} rounds, MB/s of processor time")
        print("\n".join(table(seconds, memory, size)))
        for other in (arguments.size // 8, arguments.large):
            if other:
                report_memory(arguments, folder, other)
    finally:
        shutil.rmtree(folder)


main()
