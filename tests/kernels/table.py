# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts together what the guests have found: table.py RESULTS... (files that boot.sh has left)

Prints what failed, then "N passed, N failed", then a table of kernels and what works on each.
With --write, the table goes into the README and the verifier's counts into verifier.tsv. Exit
status 1 if anything failed, or a guest has not come to its end.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
COUNTS = HERE / "verifier.tsv"
BEGIN, END = "<!-- kernels: begin", "<!-- kernels: end"

# Row: the tests that must all have passed for a yes. None may be missing.
ROWS = {
    "verdicts, ledger (stand-in for libc10)": [
        "test_standin::test_nested",
        "test_standin::test_random",
    ],
    "`-- CMD`": ["test_standin::test_nested"],
    "`--pid`, in mid-trace": ["test_standin::test_attach"],
    "`--all`": ["test_standin::test_all_processes"],
    "Python stacks": ["test_stacks::test_stacks_of_an_interpreter"],
    "real PyTorch 2.14.1: stacks, changes": ["test_stacks::test_stacks_in_torch"],
    "real PyTorch 2.14.1: kinds": ["test_kinds::test_toggling_model"],
    "real PyTorch 2.14.1: raise": ["test_enforcement_raise::test_raise"],
    "without BTF, `--btf FILE`": ["test_kernel_lacks::test_types_from_a_file"],
    "`perf_event_paranoid=3`, `unprivileged_bpf_disabled=2`": ["test_rights::test_settings"],
    "busy processes on one CPU (`preempt=full`, if known)": [
        "test_preemption::test_many_on_one_cpu"
    ],
    "target under seccomp": ["test_rights::test_seccomp"],
}
# Row: the test whose own words are shown.
ANSWERS = {
    "four capabilities without root (`perf_event_paranoid=2`)": "test_rights::test_without_root",
    "lockdown=integrity": "test_rights::test_lockdown[integrity]",
    "lockdown=confidentiality": "test_rights::test_lockdown[confidentiality]",
}

# How doctor begins to say it: what is shown.
# What of the newer parts gradwatch uses, and what for.
USES = {
    "BPF cookies": "programs shared by files",
    "uprobe_multi": "two descriptors a file, removes all probes at once",
}

RAISING = {
    "by BPF": "by BPF",
    "by ptrace": "by ptrace",
    "not on this processor": "no: `--fallback`",
}

# Of what the verifier says of a program that it refuses.
LOG_LINES = 12

# A program may grow by this before somebody has to look at it.
GROWTH = 1.25

# Guests for another processor than this machine's have no PyTorch: that would take hours.
WITHOUT_TORCH = "arm64"


def needs_torch(row):
    return row.startswith("real PyTorch")


def sections(text):
    found = {}
    for line in text.replace("\r", "").splitlines():
        if line.startswith("== "):
            name = line[3:]
            found[name] = []
        elif found and line:
            found[name].append(line)
    return found


class Guest:
    """What one kernel has found."""

    def __init__(self, path):
        path = pathlib.Path(path)
        found = sections(path.read_text(errors="replace")) if path.exists() else {}
        self.name = path.parent.name  # SUITE:ARCH
        self.has_torch = not self.name.endswith(WITHOUT_TORCH)
        self.whole = "end" in found
        if not self.whole:
            self.release, self.tests, self.counts = self.name, {}, {}
            self.raising, self.newer = "**no**", {}
            return
        self.release = found["release"][0]
        told = {line[:13].strip(): line[14:].split(maxsplit=1)[1] for line in found["doctor"]}
        self.raising = next((way for way in RAISING if told["raising"].startswith(way)), "**no**")
        self.newer = dict(re.findall(r"(\w[\w ]*): (yes|no)", told["newer parts"]))
        self.counts = {}
        for line in found["verifier"]:
            program, variant, count = line.split()[:3]
            self.counts[f"{program} {variant}"] = count
        self.log = "\n".join(found["verifier log"][-LOG_LINES:])
        self.tests = dict(self.read_tests("\n".join(found["junit"]))) if found["junit"] else {}

    @staticmethod
    def read_tests(text):
        for case in xml.etree.ElementTree.fromstring(text).iter("testcase"):
            name = f"{case.get('classname').split('.')[-1]}::{case.get('name')}"
            failure = case.find("failure")
            if failure is None:
                failure = case.find("error")
            answer = case.find("properties/property[@name='answer']")
            yield (
                name,
                {
                    "failure": None if failure is None else failure.text or failure.get("message"),
                    "skipped": case.find("skipped") is not None,
                    "answer": None if answer is None else answer.get("value"),
                },
            )

    def passed(self, prefix):
        """Whether there are tests whose names begin so, and all have passed."""
        chosen = [test for name, test in self.tests.items() if name.startswith(prefix)]
        return bool(chosen) and not any(test["failure"] or test["skipped"] for test in chosen)

    def failures(self):
        """What failed, with its text."""
        if not self.whole:
            yield "the guest has not come to its end", ""
        for name, test in self.tests.items():
            if test["failure"]:
                yield name, test["failure"]
        for name, count in self.counts.items():
            if not count.isdigit():
                yield f"verifier: {name}", self.log
        for row, prefixes in ROWS.items():
            if not self.whole or (not self.has_torch and needs_torch(row)):
                continue
            for prefix in prefixes:
                chosen = [test for name, test in self.tests.items() if name.startswith(prefix)]
                if not chosen or any(test["skipped"] for test in chosen):
                    yield f"'{row}' was not run", prefix

    def grown(self, known):
        """Programs that the verifier has much more to do with than the file says."""
        for name, count in self.counts.items():
            before = known.get((name, self.name))
            if before and count.isdigit() and int(count) > GROWTH * int(before):
                yield (
                    f"verifier: {name}",
                    f"{before} instructions have become {count}: if that has to be, "
                    "`make kernels` writes it down",
                )

    def cell(self, row):
        if not self.has_torch and needs_torch(row):
            return "-"
        if row in ANSWERS:
            answer = (self.tests.get(ANSWERS[row]) or {}).get("answer")
            if answer == "works":
                return "yes"
            if self.passed(ANSWERS[row]):
                return "refused, with the cause"
            return "**no**"
        return "yes" if all(map(self.passed, ROWS[row])) else "**no**"


def table(guests):
    yield "| | " + " | ".join(guest.release for guest in guests) + " |"
    yield "|---|" + "---|" * len(guests)
    for row in [*ROWS, *ANSWERS]:
        yield f"| {row} | " + " | ".join(guest.cell(row) for guest in guests) + " |"
    cells = [RAISING.get(guest.raising, guest.raising) for guest in guests]
    yield "| a call is made to raise | " + " | ".join(cells) + " |"
    for part in dict.fromkeys(part for guest in guests for part in guest.newer):
        cells = [guest.newer.get(part, "**no**") for guest in guests]
        use = USES.get(part, "not used")
        yield f"| has {part} ({use}) | " + " | ".join(cells) + " |"
    most = [
        max(map(int, filter(str.isdigit, guest.counts.values())), default=0) for guest in guests
    ]
    cells = [f"{count:,}" for count in most]
    yield (
        "| instructions verified for the largest program, of 1,000,000 | "
        + " | ".join(cells)
        + " |"
    )


def write_readme(lines):
    before, rest = README.read_text().split(BEGIN)
    mark, rest = rest.split("\n", 1)
    after = rest[rest.index(END) :]
    README.write_text(before + BEGIN + mark + "\n" + "\n".join(lines) + "\n" + after)


def read_counts():
    """{(program, guest): count} of the file; the first line has the guests, and their kernels."""
    if not COUNTS.exists():
        return {}
    head, *rows = (line.split("\t") for line in COUNTS.read_text().splitlines())
    names = [column.split()[0] for column in head]
    return {
        (row[0], name): count
        for row in rows
        for name, count in zip(names[1:], row[1:], strict=True)
        if count != "-"
    }


def write_counts(guests):
    names = list(dict.fromkeys(name for guest in guests for name in guest.counts))
    columns = (f"{guest.name} ({guest.release})" for guest in guests)
    lines = ["\t".join(["program", *columns])]
    for name in names:
        lines.append("\t".join([name, *(guest.counts.get(name, "-") for guest in guests)]))
    COUNTS.write_text("\n".join(lines) + "\n")


def main():
    paths = [path for path in sys.argv[1:] if path != "--write"]
    guests = [Guest(path) for path in paths]
    known = {} if "--write" in sys.argv else read_counts()
    failed = 0
    for guest in guests:
        for name, text in [*guest.failures(), *guest.grown(known)]:
            failed += 1
            print(f"FAILED on {guest.release}: {name}\n{text}")
    if "--write" in sys.argv and not failed:
        write_readme(table(guests))
        write_counts(guests)
    for name in dict.fromkeys(name for guest in guests for name in guest.counts):
        counts = (f"{guest.counts.get(name, '-'):>9}" for guest in guests)
        print(f"verifier: {name:32}", *counts)
    passed = sum(not test["failure"] for guest in guests for test in guest.tests.values())
    print(f"{passed} passed, {failed} failed")
    print("\n".join(table(guests)))
    return 1 if failed or not guests else 0


if __name__ == "__main__":
    sys.exit(main())
