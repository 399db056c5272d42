# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs gradwatch to log a storm of changes (root): make bench-log-write.

A process changes the grad mode at a fixed rate within one trace, from Python, while gradwatch logs
it at each level in turn. What counts is gradwatch's processor time, of all its threads, compression
included: from the first change until nothing more is written, as a part of the time in which the
changes were made. So other work on the machine hardly shows. A log with inputs is replayed after
that, and has to say what was said live.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
LEVELS = ("findings", "changes", "all")
CALM = 1.5  # seconds without processor time: all is written

# Both tell that they are ready, begin when they are asked, and end when they are asked.
PACED = """
import json, sys, time
rate, seconds = int(sys.argv[2]), float(sys.argv[3])

def paced(toggle):
    print("ready", flush=True)
    sys.stdin.readline()
    begin, done, on = time.monotonic(), 0, False
    while True:
        passed = time.monotonic() - begin
        if passed >= seconds:
            break
        for _ in range(int(passed * rate) - done):
            toggle(on)
            on = not on
            done += 1
        time.sleep(0.001)
    print(json.dumps({"changes": done, "seconds": time.monotonic() - begin}), flush=True)
    sys.stdin.readline()
"""

STANDIN = (
    PACED
    + """
sys.path.insert(0, sys.argv[1] + "/..")
sys.path.insert(0, sys.argv[4])
import driver
library = driver.Library(sys.argv[1])
thread = driver.Thread(library)
thread.push()
paced(library.set_enabled)
thread.pop()
"""
)

WHEEL = (
    PACED
    + """
import torch
from torch.fx.experimental.proxy_tensor import make_fx

def traced(x):
    paced(torch._C._set_grad_enabled)
    return x + 1

make_fx(traced)(torch.ones(1))
"""
)


def ticks(pid):
    """Seconds of processor time of all threads of a process, those that have ended too."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_calm(pid):
    last, since = ticks(pid), time.monotonic()
    while time.monotonic() - since < CALM:
        time.sleep(0.1)
        if ticks(pid) > last + 0.01:
            last, since = ticks(pid), time.monotonic()
    return last


def totals_of(arguments, log, replay):
    argv = [arguments.build / "gradwatch", "report", "--json", *["--replay"] * replay, log]
    found = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    for result in found.get("replay", []):
        if result["different"] or result["not_comparable"]:
            sys.exit(f"bench_log_write: the replay is not what was said live: {result}")
    return found["totals"]


def run(arguments, command, level, log):
    """Processor time as a part of one core, and what the log says."""
    argv = [arguments.build / "gradwatch", "--log", log, "--log-level", level, "--rate", "0"]
    gradwatch = subprocess.Popen(
        [*map(str, argv), "-o", "/dev/null", "--", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if gradwatch.stdout.readline() != "ready\n":
            sys.exit(f"bench_log_write: the target ended: {gradwatch.stderr.read()}")
        time.sleep(1)  # probes are in place, and the interpreter's start is over
        before = ticks(gradwatch.pid)
        gradwatch.stdin.write("\n")
        gradwatch.stdin.flush()
        done = json.loads(gradwatch.stdout.readline())
        used = wait_until_calm(gradwatch.pid) - before
        gradwatch.communicate("\n", timeout=60)
    finally:
        gradwatch.kill()
    totals = totals_of(arguments, log, level == "all")
    return {
        "share": used / done["seconds"],
        "rate": done["changes"] / done["seconds"],
        "made": done["changes"],
        "seen": totals["violations"] + totals["infos"],
        "lost": totals["lost"],
        "lost_output": totals["lost_output"],
        "bytes": sum(path.stat().st_size for path in log.glob("*.jsonl*")) / done["seconds"] / 1e6,
    }


def targets(arguments):
    paced = [str(arguments.rate), str(arguments.seconds)]
    standin = str(arguments.standin / "keyed" / "libc10.so")
    driver = str(REPO / "tests" / "standin")
    yield "stand-in", [sys.executable, "-c", STANDIN, standin, *paced, driver]
    for name in arguments.target:
        make = [REPO / "tests" / "targets" / "make.sh", name]
        made = subprocess.run(make, stdout=subprocess.PIPE, text=True, check=True).stdout
        python = made.rstrip("\n").split("\t")[1] + "/bin/python3"
        yield name, [python, "-c", WHEEL, "-", *paced]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=REPO / "build")
    parser.add_argument("--standin", type=pathlib.Path, help="folder of the built stand-in")
    parser.add_argument("--target", nargs="*", default=["wheel-2.13.0"], help="wheels")
    parser.add_argument("--rate", type=int, default=50000, help="changes a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--level", action="append", choices=LEVELS)
    arguments = parser.parse_args()
    arguments.standin = arguments.standin or arguments.build / "standin"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-log-write-", dir=arguments.build))
    try:
        print(f"{'target, level':32}  {'% core':>6}  {'made/s':>6}  {'lost':>6}  {'MB/s':>5}")
        for name, command in targets(arguments):
            for level in arguments.level or LEVELS:
                rounds = []
                for number in range(arguments.rounds):
                    log = folder / f"{level}-{number}"
                    rounds.append(run(arguments, command, level, log))
                    shutil.rmtree(log)
                lost = max(one["made"] - one["seen"] + one["lost_output"] for one in rounds)
                print(
                    f"{name + ', ' + level:32}"
                    f"  {100 * statistics.median(one['share'] for one in rounds):6.1f}"
                    f"  {statistics.median(one['rate'] for one in rounds):6.0f}  {lost:6}"
                    f"  {statistics.median(one['bytes'] for one in rounds):5.2f}",
                    flush=True,
                )
    finally:
        shutil.rmtree(folder)


main()
