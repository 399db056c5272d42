# SPDX-License-Identifier: GPL-2.0-or-later
"""
The findings of random programs equal those of a reference inside the process.

GRADWATCH_PROGRAMS sets how many programs are run, GRADWATCH_FIRST_SEED the first seed, and
GRADWATCH_BATCH how many one process runs. One seed more is chosen at random and printed.
findings_oracle.py defines what is expected.
"""

import collections
import json
import os
import random
import subprocess

import pytest
from targets import PROGRAMS

COUNT = int(os.environ.get("GRADWATCH_PROGRAMS", "300"))
FIRST = int(os.environ.get("GRADWATCH_FIRST_SEED", "1"))
BATCH = int(os.environ.get("GRADWATCH_BATCH", "150"))  # gradwatch remembers 4096 findings

KEYS = (
    *("kind", "category", "severity", "whose", "before", "after"),
    *("restored", "empty", "file", "line", "function", "caller"),
)
Finding = collections.namedtuple("Finding", KEYS)


def batches():
    seeds = list(range(FIRST, FIRST + COUNT)) + [random.randrange(2**32)]
    return [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]


def reported(monitor):
    """gradwatch's findings, and how often each occurred."""
    found, counts = {}, collections.Counter()
    for event in monitor.events:
        if event["type"] == "finding":
            assert event["finding"] not in found, event
            found[event["finding"]] = as_finding(event)
            counts[event["finding"]] = event["count"]
        elif event["type"] == "repeated":
            counts[event["finding"]] = max(counts[event["finding"]], event["count"])
    total = collections.Counter()
    for number, finding in found.items():
        total[finding] += counts[number]
    return total


def reported_twice(monitor):
    """What is one finding, and has two numbers."""
    keys = collections.Counter(
        (
            as_finding(event),
            json.dumps([event["decorated"], event["began"], event["whose"]]),
            event["certain"],
        )
        for event in monitor.of_type("finding")
    )
    return [key for key, count in keys.items() if count > 1]


def as_finding(event):
    user = event["user"] or {"file": None, "line": None, "function": None}
    empty = event["empty"] and event["category"] == "scope"  # says nothing about the others
    return Finding(
        *(event["kind"], event["category"], event["severity"], event["whose"]),
        *(event["from"]["grad"], event["to"]["grad"], event["restored"], empty),
        *(user["file"], user["line"], user["function"]),
        event["caller"] and event["caller"]["line"],
    )


def expected(path):
    total = collections.Counter()
    with open(path, encoding="utf-8") as file:
        for line in file:
            finding = json.loads(line)
            count = finding.pop("count")
            total[Finding(**finding)] += count
    return total


def by_file(findings):
    files = collections.defaultdict(collections.Counter)
    for finding, count in findings.items():
        files[finding.file][finding] = count
    return files


def differences(right, got, folder, doubtful):
    """What to print of each program that differs: its text and both sides."""
    right, got = by_file(right), by_file(got)
    texts = []
    for file in sorted({*right, *got}, key=str):
        if right[file] != got[file] and file not in doubtful:
            texts.append(difference(file, right[file], got[file], folder))
    return texts


def difference(file, right, got, folder):
    lines = [f"== {file}"]
    for name, one, other in (("expected", right, got), ("reported", got, right)):
        for finding, count in sorted((one - other).items(), key=str):
            lines.append(f"  {name} {count} x {describe(finding)}")
    both = right & got
    lines += [f"  both     {count} x {describe(f)}" for f, count in sorted(both.items(), key=str)]
    source = folder / os.path.basename(file or "none")
    if source.exists():
        text = source.read_text().split("\n")
        lines += [f"{number:4} {line}" for number, line in enumerate(text, 1)]
    return "\n".join(lines)


def describe(finding):
    words = {True: "on", False: "off"}
    values = finding._asdict()
    values["before"], values["after"] = words[finding.before], words[finding.after]
    del values["file"]
    return " ".join(f"{name}={value}" for name, value in values.items())


@pytest.fixture(scope="session")
def setter_hook(tmp_path_factory):
    library = tmp_path_factory.mktemp("hook") / "setter_hook.so"
    source = PROGRAMS / "setter_hook.c"
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return library


@pytest.mark.parametrize("seeds", batches(), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_findings_of_random_programs(target, tmp_path, gradwatch, setter_hook, seeds):
    (tmp_path / setter_hook.name).write_bytes(setter_hook.read_bytes())
    folder = tmp_path / "programs"
    folder.mkdir()
    inside = target.path(tmp_path / setter_hook.name).rsplit("/", 1)[0]
    argv = target.command(
        *(tmp_path, "random_findings.py", f"{inside}/programs", *map(str, seeds)),
        environment={"LD_PRELOAD": f"{inside}/{setter_hook.name}"},
    )
    monitor = gradwatch("--rate", 0, "--", *argv).finish(timeout=600)
    assert monitor.status == 0, monitor.stderr
    right = expected(folder / "findings")
    got = reported(monitor)
    doubtful = json.loads((folder / "doubtful").read_text())
    assert len(doubtful) <= max(2, len(seeds) / 6), doubtful
    texts = differences(right, got, folder, doubtful)
    compared = len(seeds) - len(doubtful)
    print(f"seed {seeds[-1]}: {compared} programs, {len(right)} findings, {len(texts)} differ")
    assert not texts, f"{len(texts)} of {compared} programs:\n" + "\n".join(texts)
    assert not reported_twice(monitor)
    alarms = [f for f in monitor.of_type("finding") if f["severity"] in ("violation", "low")]
    assert monitor.end_event["findings"] == len(alarms)
