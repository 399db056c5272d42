#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What watching costs, side by side, within one process (root).

Two launches of the same program differ by 40 % on a shared machine, so there is one target and
the tools are attached to it and detached again: many short rounds, in each of them every tool
once, in another order, and ratios between what was measured in the same round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from contestants import ROOT, Bpftrace, Contestant, Empty, Failure, Gradwatch
from report import summarise, table

# Case: label, batches, calls or iterations in a batch. Of the batches, the median counts.
CASES = {
    "setter": ("setter outside a trace", 15, 2000),
    "redundant": ("setter in a trace, redundant", 15, 2000),
    "changes": ("setter in a trace, a violation each", 5, 400),
    "train": ("training iteration", 40, 1),
    "infer": ("inference iteration", 40, 2),
    "make_fx": ("make_fx run", 8, 1),
    "export": ("torch.export run", 8, 1),
}
CHANGES = CASES["changes"][1] * CASES["changes"][2]

# A probed setter takes 900 ns at the least, 100 ns without a probe; half way, on a log scale.
PROBED_NS = 300
CHANGED_STATE_TRIES = 500


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
        if name.startswith("wheel-"):
            command = [f"{folder}/bin/python", f"{here}/workload.py"]
        else:
            enter = (
                'mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && '
                'mount --bind "$2" "$1/mnt" && exec chroot "$1" python3 /mnt/workload.py'
            )
            command = ["unshare", "--mount", "sh", "-c", enter, "sh", folder, here]
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
        """Median of the batches in nanoseconds, None when this PyTorch cannot do it."""
        self.process.stdin.write(f"{case} {batches} {count}\n")
        self.process.stdin.flush()
        times = self.answer()
        return None if times is None else statistics.median(times)

    def wait_until(self, probed):
        """Tools say that they are ready before, and end after, the probe is: look for its effect."""
        for _ in range(CHANGED_STATE_TRIES):
            if (self.measure("setter", 9, 100) > PROBED_NS) == probed:
                return
        raise Failure("the probe is not there" if probed else "a probe is left behind")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


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
        for case, (_, batches, count) in CASES.items():
            ns = target.measure(case, batches, count)
            if ns is not None:
                rounds[case][-1][contestant.name] = ns
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
    target = Target(options.target)
    try:
        contestants = [
            Unprobed(),
            Empty(target.pid, options.build),
            Gradwatch(target.pid, options.gradwatch or f"{options.build}/gradwatch"),
            Bpftrace(target.pid, options.build),
        ]
        rounds, reported = run(target, contestants, options.rounds)
    finally:
        target.close()
    summary = summarise(rounds)
    print(f"{options.target} (torch {target.torch}), {options.rounds} rounds\n")
    print(table(summary, {case: label for case, (label, _, _) in CASES.items()}))
    print(f"\nViolations reported in a round, of {CHANGES} made:")
    for name, counts in reported.items():
        print(f"  {name}: {min(counts)} - {max(counts)}")
    if options.json:
        with open(options.json, "w") as file:
            details = {"target": options.target, "torch": target.torch, "summary": summary}
            json.dump(dict(details, rounds=rounds, reported=reported), file, indent=1)


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as error:
        sys.exit(f"bench: {error}")
