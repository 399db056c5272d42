# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a fleet's logs for tests: generate.py FOLDER [--nodes N] [--records N] [--seed N].

The records are those that a real gradwatch wrote (tests/logs, tests/questions/records.jsonl), with
other nodes, runs, processes, times and lines, and with right numbers and checksums. In the fleet
there are nodes that are silent or late, restarts, segments that came twice, numbers that are
missing, nodes that could not watch everything, and lines that are cut off.

FOLDER/nodes.txt is the list of the nodes that should report; FOLDER/log has the segments.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import random
import subprocess
from datetime import datetime, timedelta, timezone

import crc32c

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = sorted((HERE.parent / "logs").glob("*.jsonl")) + [HERE / "records.jsonl"]
BEGIN = datetime(2026, 11, 23, tzinfo=timezone.utc)
SPAN_NS = 4 * 86400 * 10**9
LATE_NS = SPAN_NS // 4  # late nodes have nothing after this
VERSIONS = ["2.13.0+cpu", "2.14.1", "2.6.0+debian"]
PROJECTS = ["model", "encoder", "vision", "speech", "ranker", "diffusion"]

# What the records of a run are, but for its first and last; of 1,000.
MIX = {
    "again": 450,
    "totals": 200,
    "trace_end": 100,
    "attached": 80,
    "trace_begin": 70,
    "repeated": 50,
    "change": 30,
    "finding": 20,
}


def text(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Template:
    """A real record in which some values are put in anew."""

    REPLACED = [
        "time",
        "mono_ns",
        "host",
        "run_id",
        "boot_id",
        "pid",
        "tid",
        "ns_pid",
        "ns_tid",
        "start_ns",
        "comm",
        "uid",
        "cgroup",
        "unit",
        "container",
        "finding",
        "count",
        "fingerprint",
        "trace",
        "segment",
        "first_seq",
        "last_seq",
        "records",
        "types",
        "seq",
        "crc",
    ]

    def __init__(self, record):
        self.record = record
        made = {}
        for key, value in record.items():
            made[key] = f"\x01{key}\x02" if key in self.REPLACED else value
            if key == "host":
                made["run_id"], made["boot_id"] = "\x01run_id\x02", "\x01boot_id\x02"
            if key == "exe":
                made.update({name: f"\x01{name}\x02" for name in ("cgroup", "unit", "container")})
        if record["type"] == "close":
            made.pop("totals", None)
        made.pop("crc", None)
        form = text(made).replace("%", "%%")
        form = form.replace("/home/user/model/", "/home/user/%(project)s/")
        form = form.replace('"version":"2.13.0+cpu"', '"version":"%(torch)s"')
        for key in self.REPLACED:
            form = form.replace(f'"\\u0001{key}\\u0002"', f"%({key})s")
        self.form = form[:-1]

    def line(self, values):
        body = (self.form % values).encode()
        return b'%b,"crc":"%08x"}\n' % (body, crc32c.crc32c(body))


def templates():
    found = {}
    for source in SOURCES:
        for line in source.read_text().splitlines():
            record = json.loads(line)
            kind = record["type"]
            if kind == "end" and record["lost"] + record["lost_output"]:
                kind = "lossy_end"
            found.setdefault(kind, []).append(Template(record))
    blind = json.loads(text(found["end"][0].record))
    blind["coverage"].update(missed=2, unarmed=1)
    blind["ledger"]["throttled"] = 40
    found["blind_end"] = [Template(blind)]
    return found


def fingerprint(record, project):
    user = record["user"] or {}
    parts = (record["kind"], record["category"], project, user.get("file"), user.get("function"))
    return "fp1:" + hashlib.blake2b(text(parts).encode(), digest_size=8).hexdigest()


def process(rng):
    """The values of a process: in a container of Kubernetes or of podman, or in a unit."""
    pid = rng.randrange(300, 4_000_000)
    where = rng.randrange(10)
    box = unit = None
    if where < 5:
        pod = f"{rng.randrange(40):08x}-0000-4000-8000-{rng.randrange(8):012x}"
        box = {"id": f"{rng.getrandbits(256):064x}", "runtime": "containerd", "pod_uid": pod}
        cgroup = f"/kubepods/burstable/pod{pod}/{box['id']}"
    elif where < 7:
        box = {"id": f"{rng.getrandbits(256):064x}", "runtime": "podman", "pod_uid": None}
        cgroup = f"/libpod_parent/libpod-{box['id']}"
    elif where < 9:
        unit = f"train-{rng.randrange(5)}.service"
        cgroup = f"/system.slice/{unit}"
    else:
        cgroup = None
    return {
        "pid": pid,
        "tid": pid,
        "ns_pid": rng.randrange(1, 300) if box else pid,
        "ns_tid": 1 if box else pid,
        "start_ns": rng.randrange(10**6) * 10_000_000,
        "comm": text(rng.choice(["python", "python3", "pt_main_thread", 'a"b\\c'])),
        "uid": rng.choice([0, 1000, 1001, 1002, 65534]),
        "cgroup": text(cgroup),
        "unit": text(unit),
        "container": text(box),
        "project": rng.choice(PROJECTS),
        "torch": rng.choice(VERSIONS),
    }


class Run:
    """The records of one run of gradwatch, as lines in segments."""

    def __init__(self, kinds, host, boot, rng, begin_ns, length_ns, records):
        self.kinds, self.rng = kinds, rng
        self.now, self.step = begin_ns, length_ns // (records + 1)
        self.name = {
            "host": text(host),
            "boot_id": text(boot),
            "run_id": text(f"{rng.getrandbits(64):016x}"),
        }
        self.segments, self.types = [], {}
        self.findings, self.seq, self.traces, self.first_seq = [], 0, 0, 0
        self.process = process(rng)

    def add(self, kind, values=(), template=None):
        self.now += self.step
        seconds, ns = divmod(self.now, 10**9)
        moment = (BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
        every = {
            **self.name,
            "time": f'"{moment}.{ns:09}Z"',
            "mono_ns": self.now,
            "seq": self.seq,
            "segment": len(self.segments),
            "trace": max(self.traces, 1),
            "first_seq": self.first_seq,
            "last_seq": 0,
            "records": sum(self.types.values()) + 1,
            "types": text(self.types),
            **self.process,
            **dict(values),
        }
        template = template or self.rng.choice(self.kinds[kind])
        self.segments[-1].append(template.line(every))
        kind = template.record["type"]
        self.types[kind] = self.types.get(kind, 0) + 1
        self.seq += 1

    def open(self):
        self.segments.append([])
        self.types, self.first_seq = {}, self.seq
        self.add("header")

    def skip(self, count):
        """Numbers of records that the node could not write."""
        self.seq += count
        return {"first_seq": self.seq - count, "last_seq": self.seq - 1}

    def found(self):
        if not self.findings or self.rng.random() < 0.2:
            template = self.rng.choice(self.kinds["finding"])
            name = fingerprint(template.record, self.process["project"])
            self.findings.append(1)
            number = len(self.findings)
            values = {"finding": number, "count": 1, "fingerprint": text(name)}
            self.add("finding", values, template)
        else:
            self.counted("again")

    def counted(self, kind):
        if not self.findings:
            return self.found()
        at = self.rng.randrange(len(self.findings))
        self.findings[at] += kind == "again"
        self.add(kind, {"finding": at + 1, "count": self.findings[at]})

    def body(self, kind):
        if kind == "attached":
            self.process = process(self.rng)
            self.add("attached")
        elif kind == "finding":
            self.found()
        elif kind in ("again", "repeated"):
            self.counted(kind)
        else:
            self.traces += kind == "trace_begin"
            self.add(kind)


def run_of(kinds, host, boot, rng, begin_ns, length_ns, records, fault):
    run = Run(kinds, host, boot, rng, begin_ns, length_ns, records)
    run.open()
    run.add("start")
    choices = rng.choices(list(MIX), weights=MIX.values(), k=max(records - 4, 1))
    rotated = {rng.randrange(len(choices)) for _ in range(rng.randrange(3))}
    if fault == "no_first":
        rotated.add(len(choices) // 3)
    for position, kind in enumerate(choices):
        if fault == "skipped" and position == 3:
            run.add("skipped")
        if fault == "lost" and position == 3:
            run.add("lost", {"count": 7})
        if fault == "full_disk" and position == 5:
            missing = run.skip(rng.randrange(1, 9))
            run.add("gap", {**missing, "count": missing["last_seq"] - missing["first_seq"] + 1})
        if position in rotated and position:
            run.add("close")
            run.open()
        run.body(kind)
    if fault != "no_end":
        run.add({"lost": "lossy_end", "blind": "blind_end"}.get(fault, "end"))
        run.add("close")
    return run.segments


def damage(rng, segments, fault):
    """Numbers that are missing: some records in between, or the first segment."""
    if fault == "gaps":
        for _ in range(rng.randrange(1, 4)):
            lines = rng.choice(segments)
            if len(lines) > 30:
                at = rng.randrange(2, len(lines) - 10)
                del lines[at : at + rng.randrange(1, 5)]
    if fault == "no_first":
        del segments[0]


def write(folder, rng, name, segments):
    """Segments: plain, to be compressed, or gzip; some twice; and some begun copies of them."""
    made = []
    for number, lines in enumerate(segments, 1):
        day = folder / f"dt=2026-11-{23 + number % 4}" / name.split("-run")[0]
        day.mkdir(parents=True, exist_ok=True)
        path = day / f"{name}-{number:06}.jsonl"
        data = b"".join(lines)
        form = rng.randrange(30)
        if form == 0:
            path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(data, 1))
        else:
            path.write_bytes(data)
            made += [path] if form < 24 else []
        twice = rng.randrange(40)
        if twice == 0:
            (day / f"{name}-{number:06}-again.jsonl").write_bytes(data)
        elif twice == 1:  # as a shipper found it, in the middle of a record
            (day / f"{name}-{number:06}-begun.jsonl").write_bytes(data[: len(data) * 2 // 3])
    return made


FAULTS = ["gaps", "no_first", "skipped", "lost", "no_end", "full_disk", "blind"]


def fleet(folder, nodes, records, seed):
    kinds = templates()
    names = [f"node-{number:04}" for number in range(1, nodes + 1)]
    (folder / "log").mkdir(parents=True)
    (folder / "nodes.txt").write_text("".join(f"{name}\n" for name in names))
    silent = set(random.Random(seed).sample(names, max(nodes * 12 // 1000, 1)))
    reporting = [name for name in names if name not in silent] + ["stranger-1"]
    share, to_compress = records // len(reporting) + 1, []
    for host in reporting:
        rng = random.Random(f"{seed} {host}")
        runs, rest = rng.choice([1, 1, 1, 1, 1, 2, 2, 3]), share
        span = LATE_NS if rng.random() < 0.01 else SPAN_NS
        boot = f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}"
        for number in range(runs):
            fault = rng.choice(FAULTS) if rng.random() < 0.05 else None
            if rng.random() < 0.1:
                boot = f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}"
            begin, length = number * span // runs, span // runs
            size = rest // (runs - number)
            segments = run_of(kinds, host, boot, rng, begin, length, size, fault)
            rest -= size
            damage(rng, segments, fault)
            to_compress += write(folder / "log", rng, f"{host}-run{number}", segments)
        if len(to_compress) > 500:
            compress(to_compress)
            to_compress = []
    compress(to_compress)


def compress(files):
    if files:
        subprocess.run(["zstd", "-q", "-3", "--rm", *files], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    fleet(arguments.folder, arguments.nodes, arguments.records, arguments.seed)


if __name__ == "__main__":
    main()
