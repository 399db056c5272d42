# SPDX-License-Identifier: GPL-2.0-or-later
"""What watching costs, side by side, within one process (root).

Two launches of the same program differ by 40 % on a shared machine, so there is one target and
the tools are attached to it and detached again: many short rounds, in each of them every tool
once, in another order, and ratios between what was measured in the same round.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contestants import (
    ROOT,
    Armed,
    Bpftrace,
    Contestant,
    Empty,
    Failure,
    Gradwatch,
    Raising,
    Throttled,
)
from report import setter_part, summarise, table

# Case: label, batches, calls or iterations in a batch.
CASES = {
    "setter": ("setter outside a trace", 8, 1000),
    "redundant": ("setter in a trace, redundant", 8, 1000),
    "changes": ("setter in a trace, a violation each", 5, 100),
    "changes30": ("the same, 30 frames deep", 5, 100),
    "changes100": ("the same, 100 frames deep", 5, 100),
    "changes100apart": ("the same, of 100 functions", 5, 100),
    "raise": ("setter in a trace, each call raises", 5, 20),
    "storm": ("storm: 250,000 changes in a trace", 5, 50_000),
    "train": ("training iteration", 12, 1),
    "infer": ("inference iteration", 12, 2),
    "make_fx": ("make_fx run, processor time", 10, 1),
    "export": ("torch.export run", 3, 1),
}
# All cases are done so many times while a tool is attached: what disturbs lasts for a while.
PASSES = 4
CHANGES = PASSES * sum(CASES[case][1] * CASES[case][2] for case in CASES if "changes" in case)

# Of these it is said how often they call the setter: found with more iterations and with fewer.
COUNTED = ("train", "infer")
MORE, FEWER = 60, 10

# A probed setter takes 900 ns at the least, 100 ns without a probe; half way, on a log scale.
PROBED_NS = 300
PATIENCE = 30  # seconds

# A pause for all after attaching: else only the unprobed runs come right after other work. And one
# before this case: what a tool has still to write of the changes takes CPU from what comes next.
SETTLE_SECONDS = 0.5
SETTLE_BEFORE = "train"


class Target:
    """A PyTorch process that takes commands."""

    def __init__(self, name):
        made = subprocess.run(
            [f"{ROOT}/tests/targets/make.sh", name], stdout=subprocess.PIPE, text=True
        )
        if made.returncode:
            raise Failure(f"cannot make target {name}")
        folder = made.stdout.rstrip("\n").split("\t")[1]
        here = f"{ROOT}/tests/bench"
        # Probes are in a file, for all who map it: with its own copy, no other job's are met here.
        library = next(
            (path for path in Path(folder).rglob("libc10.so*") if not path.is_symlink()), None
        )
        if not library:
            raise Failure(f"target {name} has no libc10")
        self.copy = tempfile.TemporaryDirectory()
        copy = shutil.copy(library, self.copy.name)
        if name.startswith("wheel-"):
            enter = f'exec "$1/bin/python" "{here}/workload.py"'
        else:
            enter = (
                'mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && '
                f'mount --bind "{here}" "$1/mnt" && exec chroot "$1" python3 /mnt/workload.py'
            )
        enter = f'mount --bind "{copy}" "{library}" && {enter}'
        command = ["unshare", "--mount", "sh", "-c", enter, "sh", folder]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
        )
        self.torch = self.answer()

    @property
    def pid(self):
        return self.process.pid  # neither unshare nor chroot forks

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure("the target ended")
        return json.loads(line)

    def measure(self, case, batches, count):
        """Nanoseconds of each batch, None when this PyTorch cannot do it."""
        self.process.stdin.write(f"{case} {batches} {count}\n")
        self.process.stdin.flush()
        return self.answer()

    def wait_until(self, probed):
        """A tool's word for being attached, or for being gone, can be early: look at the effect."""
        deadline = time.monotonic() + PATIENCE
        while (min(self.measure("setter", 9, 100)) > PROBED_NS) != probed:
            if time.monotonic() > deadline:
                raise Failure(
                    "the probe has no effect"
                    if probed
                    else "a probe is there that is not ours: does something else watch this file?"
                )
            time.sleep(0.01)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.copy.cleanup()


class Unprobed(Contestant):
    name = "unprobed"

    def start(self):
        pass

    def stop(self):
        return None


def run_one(target, contestant, rounds):
    """All cases with one contestant; returns the number of violations it reported."""
    contestant.start()
    try:
        target.wait_until(probed=contestant.name != "unprobed")
        time.sleep(SETTLE_SECONDS)
        times = {case: [] for case in CASES}
        for _ in range(PASSES):
            for case in filter(contestant.takes, CASES):
                if case == SETTLE_BEFORE:
                    time.sleep(SETTLE_SECONDS)
                _, batches, count = CASES[case]
                times[case] += target.measure(case, batches, count) or []
        for case, batches in times.items():
            if batches:
                # The lower quartile: other work on the machine can only ever add time.
                rounds[case][-1][contestant.name] = statistics.quantiles(batches, n=4)[0]
        return contestant.stop()
    finally:
        contestant.kill()


def run(target, contestants, count):
    rounds = {case: [] for case in CASES}
    reported = {}
    for case, (_, batches, size) in CASES.items():
        target.measure(case, batches, size)  # warms up what is made on first use
    for number in range(count):
        for results in rounds.values():
            results.append({})
        # Rotated, and turned round in every other round: who follows whom must not matter.
        shift = number // 2 % len(contestants)
        turn = contestants[shift:] + contestants[:shift]
        for contestant in turn if number % 2 == 0 else turn[::-1]:
            target.wait_until(probed=False)
            found = run_one(target, contestant, rounds)
            if found is not None:
                reported.setdefault(contestant.name, []).append(found)
        progress(number + 1, count)
    return {case: results for case, results in rounds.items() if results[0]}, reported


def setter_calls(target, gradwatch, case):
    """How often an iteration of a case calls the setter, by gradwatch's own count."""
    hits = []
    for count in (FEWER, MORE):
        gradwatch.start()
        try:
            target.measure(case, 1, count)
            hits.append(gradwatch.stop_and_count_calls())
        finally:
            gradwatch.kill()
    return (hits[1] - hits[0]) / (MORE - FEWER)


def progress(number, count):
    if sys.stderr.isatty():
        print(f"\rround {number} of {count}", end="\n" if number == count else "", file=sys.stderr)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", default="wheel-2.13.0", help="see tests/targets/make.sh --list")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", metavar="FILE", help="all numbers, for further work")
    parser.add_argument("--build", default="build", help="where tests/bench/Makefile built")
    parser.add_argument("--gradwatch", metavar="PATH", help="default: gradwatch in --build")
    return parser.parse_args()


def main():
    options = arguments()
    binary = options.gradwatch or f"{options.build}/gradwatch"
    target = Target(options.target)
    try:
        contestants = [
            Unprobed(),
            Empty(target.pid, options.build),
            *(kind(target.pid, binary) for kind in (Gradwatch, Throttled, Raising, Armed)),
            Bpftrace(target.pid, options.build),
        ]
        rounds, reported = run(target, contestants, options.rounds)
        calls = {
            case: setter_calls(target, Gradwatch(target.pid, binary), case) for case in COUNTED
        }
    finally:
        target.close()
    summary = summarise(rounds)
    print(f"{options.target} (torch {target.torch}), {options.rounds} rounds\n")
    print(table(summary, {case: label for case, (label, _, _) in CASES.items()}))
    print("\nThe setter's part, that is its calls times what watching adds to one:")
    for case, count in calls.items():
        print(f"  {CASES[case][0]}: {setter_part(summary, case, count)}")
    print(f"\nViolations reported in a round, of {CHANGES} made on purpose:")
    for name, counts in reported.items():
        print(f"  {name}: {min(counts)} - {max(counts)}")
    if options.json:
        with open(options.json, "w") as file:
            details = {"target": options.target, "torch": target.torch, "summary": summary}
            found = {"rounds": rounds, "reported": reported, "setter_calls": calls}
            json.dump(details | found, file, indent=1)


def terminate(number, _frame):
    sys.exit(128 + number)  # by way of the clean-up


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminate)
    try:
        main()
    except (Failure, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"bench: {error}")
