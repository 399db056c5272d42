# SPDX-License-Identifier: GPL-2.0-or-later
"""The same answers by plain Python: each line by json, counted in dictionaries. No SQL.

answers(folder, nodes, since) -> the object that `fleet.py --json` prints. Written from the README
and from what the questions ask, not from the SQL.
"""

import gzip
import json
import pathlib
import subprocess
from collections import defaultdict

ORDER = ("violation", "low", "note", "info", "suppressed")


def lines_of(path):
    if path.name.endswith(".zst"):
        yield from subprocess.run(
            ["zstd", "-dcq", path], capture_output=True, check=True
        ).stdout.split(b"\n")
    elif path.name.endswith(".gz"):
        yield from gzip.decompress(path.read_bytes()).split(b"\n")
    else:
        yield from path.read_bytes().split(b"\n")


class Run:
    def __init__(self):
        self.numbers, self.duplicates = set(), 0
        self.last_seen, self.counts = "", defaultdict(int)
        self.traces, self.findings, self.times = set(), {}, {}
        self.watched, self.skipped, self.unwritten = [], 0, 0
        self.begun = self.ended = False

    def add(self, record):
        self.last_seen = max(self.last_seen, record["time"])
        if record["seq"] in self.numbers:
            self.duplicates += 1
            return
        self.numbers.add(record["seq"])
        kind = record["type"]
        if kind in ("trace_begin", "trace_end"):
            self.traces.add(record["trace"])
        elif kind in ("finding", "again", "repeated"):
            self.occurred(record)
        elif kind == "attached":
            self.watched.append(record["torch"]["version"] or "-")
        elif kind == "skipped":
            self.skipped += 1
        elif kind == "gap":
            self.unwritten += record["count"]
        elif kind in ("totals", "end"):
            self.total(record)
        self.begun |= kind in ("header", "totals", "end")
        self.ended |= kind == "end"

    def occurred(self, record):
        number, time = record["finding"], record["time"]
        if record["type"] == "finding":
            self.findings[number] = record
        times, first, last = self.times.get(number, (0, time, time))
        if record["count"] > times:
            times, last = record["count"], time
        elif record["count"] == times:
            last = min(last, time)
        self.times[number] = (times, min(first, time), last)

    def total(self, record):
        coverage = record["coverage"]
        now = {
            "lost": record["lost"],
            "lost_output": record["lost_output"],
            "throttled": record["ledger"]["throttled"],
            "unseen": sum(count for key, count in coverage.items() if key != "probed"),
        }
        for key, count in now.items():
            self.counts[key] = max(self.counts[key], count)

    def gaps(self):
        missing = set(range(max(self.numbers))) - self.numbers
        return sum(number + 1 not in missing for number in missing), len(missing)


class Group:
    """Findings that are one row of an answer."""

    def __init__(self):
        self.fingerprints, self.processes, self.hosts = set(), set(), set()
        self.times, self.first, self.last, self.records = 0, "~", "", []

    def add(self, host, boot, record, times, first, last):
        self.fingerprints.add(record["fingerprint"])
        self.processes.add((host, boot, record["pid"], record["start_ns"]))
        self.hosts.add(host)
        self.times += times
        self.first, self.last = min(self.first, first), max(self.last, last)
        self.records.append(record)

    def most(self, key):
        return max((one[key] for one in self.records if one[key] is not None), default=None)

    def user(self, key):
        users = [one["user"] for one in self.records if one["user"]]
        return max((user[key] for user in users if user[key] is not None), default=None)

    def worst(self):
        return min(ORDER.index(one["severity"]) for one in self.records)

    def row(self, findings=True):
        return {
            **({"findings": len(self.fingerprints)} if findings else {}),
            "times": self.times,
            "processes": len(self.processes),
            "nodes": len(self.hosts),
            "first_seen": self.first,
            "last_seen": self.last,
        }


def place_of(record):
    box = record["container"]
    if box and box["runtime"]:
        runtime = box["runtime"]
    else:
        runtime = "-" if record["unit"] is None else "systemd"
    for name in (box and box["pod_uid"], box and box["id"], record["unit"], record["cgroup"]):
        if name is not None:
            return runtime, name
    return runtime, "-"


def read(folder):
    runs, damaged = defaultdict(Run), 0
    for path in sorted(pathlib.Path(folder).rglob("*.jsonl*")):
        for line in lines_of(path):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                run = runs[record["host"], record["boot_id"], record["run_id"]]
                run.add(record)
            except (ValueError, KeyError):
                damaged += 1
    return runs, damaged


def by_torch(runs, groups):
    versions = defaultdict(lambda: [0, set()])
    for (host, _, _), run in runs.items():
        for version in run.watched:
            versions[version][0] += 1
            versions[version][1].add(host)
    rows = []
    for version, (processes, hosts) in versions.items():
        group = groups[version] if version in groups else Group()
        rows.append(
            {
                "torch": version,
                "processes": processes,
                "nodes": len(hosts),
                "findings": len(group.fingerprints),
                "times": group.times,
            }
        )
    return sorted(rows, key=lambda row: (-row["times"], row["torch"]))


def nodes_of(runs, expected, since):
    nodes = {}
    for host in expected | {key[0] for key in runs}:
        nodes[host] = {
            "reported": 0,
            "last_seen": "",
            **dict.fromkeys(
                [
                    "gaps",
                    "missing",
                    "open_runs",
                    "watched",
                    "skipped",
                    "unwritten",
                    "lost",
                    "throttled",
                    "unseen",
                ],
                0,
            ),
        }
    for (host, _, _), run in runs.items():
        node = nodes[host]
        gaps, missing = run.gaps()
        node["last_seen"] = max(node["last_seen"], run.last_seen)
        node["reported"] |= run.last_seen >= since
        node["gaps"] += gaps
        node["missing"] += missing
        node["open_runs"] += run.begun and not run.ended
        node["watched"] += len(run.watched)
        node["skipped"] += run.skipped
        node["unwritten"] += run.unwritten
        node["lost"] += run.counts["lost"] + run.counts["lost_output"]
        node["throttled"] += run.counts["throttled"]
        node["unseen"] += run.counts["unseen"]
    return nodes


def node_rows(nodes, expected):
    rows = []
    for host, node in nodes.items():
        node = dict(node)
        reported = node.pop("reported")
        state = "" if host in expected else "not expected"
        if not reported:
            state = "silent"
        faults = ("gaps", "skipped", "lost", "throttled", "unseen")
        if state or not node["watched"] or any(node[fault] for fault in faults):
            rows.append({"host": host, "state": state, **node})
    return sorted(
        rows,
        key=lambda row: (
            row["state"] != "silent",
            -row["missing"],
            -row["skipped"],
            -row["lost"],
            row["host"],
        ),
    )


def answers(folder, expected, since=""):
    runs, damaged = read(folder)
    expected = set(expected)
    lines, places, users, torches = (defaultdict(Group) for _ in range(4))
    undescribed = 0
    for (host, boot, _), run in runs.items():
        for number, (times, first, last) in run.times.items():
            record = run.findings.get(number)
            undescribed += record is None
            if record is None or last < since:
                continue
            found = (host, boot, record, times, first, last)
            lines[record["fingerprint"]].add(*found)
            if record["severity"] == "violation":
                places[place_of(record)].add(*found)
                users[record["uid"]].add(*found)
                torches[record["torch"]["version"] or "-"].add(*found)
    nodes = nodes_of(runs, expected, since)
    total = defaultdict(int)
    for host, node in nodes.items():
        for key, count in node.items():
            if key != "last_seen":
                total[key] += count
        total["gap_nodes"] += node["gaps"] > 0
        total["silent"] += host in expected and not node["reported"]
        total["answered"] += host in expected and node["reported"]
    return {
        "by-line": [
            {
                "severity": ORDER[group.worst()],
                "fingerprint": fingerprint,
                **{name: group.most(name) for name in ("kind", "category")},
                **{name: group.user(name) for name in ("file", "function", "line")},
                **group.row(findings=False),
            }
            for fingerprint, group in sorted(
                lines.items(), key=lambda item: (item[1].worst(), -item[1].times, item[0])
            )
        ],
        "by-container": [
            {"runtime": runtime, "place": place, **group.row()}
            for (runtime, place), group in sorted(
                places.items(), key=lambda item: (-item[1].times, item[0])
            )
        ],
        "by-user": [
            {"uid": uid, **group.row()}
            for uid, group in sorted(users.items(), key=lambda item: (-item[1].times, item[0]))
        ],
        "by-torch": by_torch(runs, torches),
        "nodes": node_rows(nodes, expected),
        "stands-on": {
            "expected": len(expected),
            "reported": total["answered"],
            "silent": total["silent"],
            "strangers": len(set(nodes) - expected),
            "gaps": total["gaps"],
            "missing": total["missing"],
            "gap_nodes": total["gap_nodes"],
            "records": sum(len(run.numbers) for run in runs.values()),
            "duplicates": sum(run.duplicates for run in runs.values()),
            "damaged": damaged,
            "runs": len(runs),
            "open_runs": total["open_runs"],
            "watched": total["watched"],
            "traces": sum(len(run.traces) for run in runs.values()),
            "skipped": total["skipped"],
            "lost": total["lost"],
            "throttled": total["throttled"],
            "unseen": total["unseen"],
            "unwritten": total["unwritten"],
            "undescribed": undescribed,
        },
    }
