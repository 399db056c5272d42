# SPDX-License-Identifier: GPL-2.0-or-later
"""
Runs random programs and writes what they should have been reported with: one JSON line for each
finding of each program, with its count.

Needs setter_hook.so preloaded. The programs' texts stay in the folder: a line is a line of a file.
"""

import argparse
import collections
import contextlib
import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")

import findings_oracle  # noqa: E402
import random_programs  # noqa: E402
import torch  # noqa: E402


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="where programs are written to")
    parser.add_argument("seeds", nargs="+", type=int)
    return parser.parse_args()


class Runner:
    def __init__(self, folder):
        self.folder = folder
        self.outcomes = collections.Counter()  # of traces: how many ended how

    def is_users(self, file):
        return file.startswith(self.folder) or file == __file__

    @contextlib.contextmanager
    def tolerance(self):
        """A random trace may raise: its changes count, too."""
        try:
            yield
            self.outcomes["traced"] += 1
        except Exception as error:
            self.outcomes[f"{type(error).__name__}: {str(error)[:60]}"] += 1

    def path(self, seed):
        return os.path.join(self.folder, f"program_{seed}.py")

    def run(self, seed):
        text = random_programs.program(seed)
        with open(self.path(seed), "w", encoding="utf-8") as file:
            file.write(text)
        made = {"__name__": f"program_{seed}"}
        torch.manual_seed(seed)
        exec(compile(text, self.path(seed), "exec"), made)
        made["main"](self.tolerance)
        torch._C._set_grad_enabled(True)


def save(oracle, path):
    with open(path, "w", encoding="utf-8") as file:
        for finding, count in oracle.findings.items():
            file.write(json.dumps({**finding._asdict(), "count": count}) + "\n")


def main():
    options = parse()
    torch.set_num_threads(1)
    runner = Runner(options.folder)
    oracle = findings_oracle.install(runner.is_users)
    for seed in options.seeds:
        runner.run(seed)
    save(oracle, os.path.join(options.folder, "findings"))
    with open(os.path.join(options.folder, "doubtful"), "w", encoding="utf-8") as file:
        json.dump(sorted(map(str, oracle.doubtful)), file)
    print(json.dumps(runner.outcomes))
    for error in oracle.errors:
        sys.stderr.write(error + "\n")
    return 1 if oracle.errors else 0


if __name__ == "__main__":
    sys.exit(main())
