# SPDX-License-Identifier: GPL-2.0-or-later
"""What is seen on which PyTorch: the table that doctor and the README show is this test's result.

GRADWATCH_WRITE_COVERAGE=1 (make coverage) writes the table instead of comparing with it.
"""

import json
import os
import subprocess

import targets

TABLE = targets.REPO / "user" / "cli" / "coverage.tsv"
NOT_SEEN = "not seen"
NOT_POSSIBLE = "-"
RAISES = "PyTorch raises"
GUARD = "autograd state manager op"  # of torch/export/_safeguard.py's error


def read_table():
    """The header, and the rows by situation: {column: text}."""
    header, *lines = TABLE.read_text().splitlines()
    header = header.split("\t")
    rows = [dict(zip(header, line.split("\t"), strict=True)) for line in lines]
    return header, {row["situation"]: row for row in rows}


def write_column(column, seen):
    """Newest version first: that is what a reader looks for."""
    header, rows = read_table()
    columns = sorted(set(header[2:]) | {column}, key=version, reverse=True)
    header = header[:2] + columns
    for situation, outcome in seen.items():
        rows[situation][column] = outcome
    lines = ["\t".join(row.get(name, "?") for name in header) for row in rows.values()]
    TABLE.write_text("\n".join(["\t".join(header), *lines]) + "\n")


def version(column):
    return tuple(map(int, column.split(".")))


def outcome(events):
    """ "violation", "info", ...: what a person is told, in words of the JSON form."""
    told = {
        event["severity"] if event["category"] == "scope" else describe(event) for event in events
    }
    return ", ".join(sorted(told, key=len)) or NOT_SEEN


def describe(event):
    word = event["category"]
    return word if event["severity"] == "violation" else f"{word} ({event['severity']})"


def look(target, tmp_path, gradwatch):
    argv = target.command(tmp_path, "situations.py")
    monitor = gradwatch("--rate", 0, "--", *argv).finish()
    assert monitor.status == 0, monitor.stderr
    seen = {}
    for line in monitor.other:
        if '"situation"' not in line:
            continue
        answer = json.loads(line[line.index("{") :])
        name = answer["situation"]
        findings = [event for event in monitor.of_type("finding") if event["comm"] == name[:15]]
        seen[name] = outcome(findings)
        if answer["error"] and not findings:
            seen[name] = RAISES if GUARD in answer["error"] else NOT_POSSIBLE
    return seen


def test_what_is_seen(target, tmp_path, gradwatch):
    seen = look(target, tmp_path, gradwatch)
    column = target.name.split("-")[1]
    if os.environ.get("GRADWATCH_WRITE_COVERAGE"):
        write_column(column, seen)
    _, rows = read_table()
    assert set(seen) == set(rows), "the table has other situations than the program"
    assert {name: row.get(column) for name, row in rows.items()} == seen


def test_doctor_tells_it(target, binary):
    text = subprocess.run(
        [binary, "doctor", target.libc10()], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    _, rows = read_table()
    column = target.name.split("-")[1]
    for row in rows.values():
        assert f"{row['what happens in the trace']}: {row[column]}\n" in text
