# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads logs, independently of gradwatch's own reader: README, "The log"."""

import json
import pathlib
import re
import subprocess

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)

TAIL = re.compile(rb',"crc":"([0-9a-f]{8})"}')


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def no_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def record_of(line):
    """The record of a line without its newline; ValueError: it is damaged."""
    tail = TAIL.fullmatch(line[-18:])
    if not tail or crc32c(line[:-18]) != int(tail[1], 16):
        raise ValueError("checksum")
    record = json.loads(line, object_pairs_hook=no_duplicates)
    assert list(record)[:2] == ["v", "type"] and list(record)[-1] == "crc"
    return record


def records_of(data):
    """The whole records of the bytes of a segment, and the offsets of the lines that are none."""
    records, damaged, offset = [], [], 0
    for line in data.split(b"\n"):
        try:
            if line:
                records.append(record_of(line))
        except ValueError:
            damaged.append(offset)
        offset += len(line) + 1
    return records, damaged


def segments(folder):
    return sorted(path for path in pathlib.Path(folder).glob("*.jsonl*"))


def data_of(path):
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
    return path.read_bytes()


def read(folder):
    """All records of a log. It must be whole: no damage, no number missing."""
    found = []
    for path in segments(folder):
        records, damaged = records_of(data_of(path))
        assert not damaged, (path, damaged)
        found += records
    by_run = {}
    for record in found:
        if record["type"] == "header":
            run = by_run.setdefault(record["run_id"], [])
        run.append(record["seq"])
    for numbers in by_run.values():
        assert numbers == list(range(len(numbers)))
    return found


def so_far(folder):
    """The whole records of a log that is written just now."""
    return [
        record
        for path in segments(folder)
        for record in (records_of(data_of(path))[0] if path.exists() else [])
    ]


def counts(files):
    """What a report says of whole logs, each the records of one run: in the keys of report()."""
    findings, total = {}, dict.fromkeys(("violations", "infos", "traces"), 0)
    records = 0
    for file in files:
        number, times, seen = {}, {}, {}
        for record in file:
            kind = record["type"]
            records += 1
            total["violations"] += kind == "change" and not record["info"]
            total["infos"] += kind == "change" and record["info"]
            total["traces"] += kind == "trace_begin"
            if kind == "finding":
                number[record["finding"]] = record["fingerprint"]
                process = (record["pid"], record["start_ns"])
                seen.setdefault(record["fingerprint"], set()).add(process)
            if kind in ("finding", "again", "repeated"):
                before = times.get(record["finding"], 0)
                times[record["finding"]] = max(before, record["count"])
        for finding, count in times.items():
            one = findings.setdefault(number[finding], {"count": 0, "processes": 0})
            one["count"] += count
        for fingerprint, processes in seen.items():
            findings[fingerprint]["processes"] += len(processes)
    return {"records": records, **total, "findings": findings}


def report(found):
    """The same, of the object that `report --json` has written."""
    assert found["unknown"] is None and found["read"]["damages"] == 0
    return {
        "records": found["read"]["records"],
        **{key: found["totals"][key] for key in ("violations", "infos", "traces")},
        "findings": {
            one["fingerprint"]: {"count": one["count"], "processes": one["processes"]}
            for one in found["findings"]
        },
    }


NOTES = ("header", "close", "gap", "totals", "again")  # records that only logs have


def events_of(records):
    """What --json has of these records, too."""
    return [
        {key: value for key, value in record.items() if key not in ("seq", "crc")}
        for record in records
        if record["type"] not in NOTES
    ]


def events(folder):
    """What --json has of a log, too."""
    return events_of(read(folder))


def write_events(path, found):
    """A file as --json writes it."""
    lines = [json.dumps(event, separators=(",", ":")) + "\n" for event in found]
    path.write_text("".join(lines))


# Strings that are words of the format, and not a target's.
WORDS = ("v", "type", "time", "kind", "category", "severity", "stack_status", "advice")


def hostile(value, name):
    """A record as if the target had chosen all its names: each is this one."""
    if isinstance(value, dict):
        return {k: v if k in WORDS else hostile(v, name) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(inner, name) for inner in value]
    return name if isinstance(value, str) and not value.startswith("fp1:") else value
