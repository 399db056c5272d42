# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts together what the guests have found: table.py RESULTS... (files that boot.sh has left)

Prints what failed, then "N passed, N failed", then a table of kernels and what works on each.
With --write, the table goes into the README and the verifier's counts into verifier.tsv. Exit
status 1 if anything failed, or a guest has not come to its end.
"""

import pathlib
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
    "real PyTorch 2.14.1: raise": ["test_enforcement::test_raise"],
    "without BTF, `--btf FILE`": ["test_kernel_lacks::test_types_from_a_file"],
    "`perf_event_paranoid=3`, `unprivileged_bpf_disabled=2`": ["test_rights::test_settings"],
    "target under seccomp": ["test_rights::test_seccomp"],
}
# Row: the test whose own words are shown.
ANSWERS = {
    "CAP_BPF and CAP_PERFMON without root": "test_rights::test_without_root",
    "lockdown=integrity": "test_rights::test_lockdown[integrity]",
    "lockdown=confidentiality": "test_rights::test_lockdown[confidentiality]",
}


def sections(text):
    found = {}
    for line in text.replace("\r", "").splitlines():
        if line.startswith("== "):
            name = line[3:]
            found[name] = []
        elif found:
            found[name].append(line)
    return found


class Guest:
    """What one kernel has found."""

    def __init__(self, path):
        path = pathlib.Path(path)
        found = sections(path.read_text(errors="replace")) if path.exists() else {}
        self.name = path.parent.name
        self.whole = "end" in found
        if not self.whole:
            self.release, self.tests, self.counts, self.raising = self.name, {}, {}, "-"
            return
        self.release = found["release"][0]
        self.raising = next(
            (
                line.split()[3].rstrip(",:")
                for line in found["doctor"]
                if line.startswith("raising")
            ),
            "-",
        )
        self.counts = {}
        for line in found["verifier"]:
            program, variant, count = line.split()[:3]
            self.counts[f"{program} {variant}"] = count
        self.tests = dict(self.read_tests("\n".join(found["junit"])))

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
                yield f"verifier: {name}", count
        for row, prefixes in ROWS.items():
            for prefix in prefixes:
                if self.whole and not any(name.startswith(prefix) for name in self.tests):
                    yield f"no test for '{row}'", prefix

    def cell(self, row):
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
    ways = {"BPF": "BPF", "ptrace": "ptrace"}
    cells = [ways.get(guest.raising, "**no**") for guest in guests]
    yield "| a call is made to raise by | " + " | ".join(cells) + " |"
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


def write_counts(guests):
    names = list(dict.fromkeys(name for guest in guests for name in guest.counts))
    lines = ["\t".join(["program", *(guest.release for guest in guests)])]
    for name in names:
        lines.append("\t".join([name, *(guest.counts.get(name, "-") for guest in guests)]))
    COUNTS.write_text("\n".join(lines) + "\n")


def main():
    paths = [path for path in sys.argv[1:] if path != "--write"]
    guests = [Guest(path) for path in paths]
    failed = 0
    for guest in guests:
        for name, text in guest.failures():
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
