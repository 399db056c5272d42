# SPDX-License-Identifier: GPL-2.0-or-later
"""A large log made of a real one: its records again and again, with other traces, times, threads
and lines. The form is that of --json: no numbers, no checksums."""

import copy
import datetime
import json
import random

EVENTS = ("trace_begin", "trace_end", "change", "finding", "again")
TIMES = ("mono_ns", "first_push_ns", "last_push_ns", "last_pop_ns")


def shifted(text, ns):
    seconds, part = text[:19], int(text[20:29])
    whole, rest = divmod(part + ns, 10**9)
    time = datetime.datetime.fromisoformat(seconds) + datetime.timedelta(seconds=whole)
    return f"{time.isoformat()}.{rest:09d}Z"


def moved(ns, first, round_, step):
    """No two rounds are as long: what is repeated would be compressed too well."""
    return first + round_ * step + int((ns - first) * (0.6 + random.Random(round_).random() / 3))


def line(record):
    plain = {key: value for key, value in record.items() if key not in ("seq", "crc")}
    return json.dumps(plain, separators=(",", ":"))


def enlarge(records, events, threads=8, lines=40):
    """Lines of a log with so many events; each round has other lines of code for its frames."""
    body = [record for record in records if record["type"] in EVENTS]
    first, last = body[0]["mono_ns"], body[-1]["mono_ns"]
    step = (last - first) // threads + 1_000_003
    ids = max(record["trace"] for record in body if "trace" in record)
    numbers = max(record["finding"] for record in body if "finding" in record)
    count = round_ = 0
    for record in records:
        if record["type"] in ("start", "attached"):
            yield line(record)
    while count < events:
        for record in body:
            record = copy.deepcopy(record)
            now = record["mono_ns"]
            for key in TIMES:
                if record.get(key):
                    record[key] = moved(record[key], first, round_, step)
            record["time"] = shifted(record["time"], record["mono_ns"] - now)
            if record.get("duration_ns"):
                end = moved(now + record["duration_ns"], first, round_, step)
                record["duration_ns"] = end - record["mono_ns"]
            if "trace" in record:
                record["trace"] += round_ * ids
                record["tid"] += 100_000 * (round_ % threads)
            if "finding" in record:
                record["finding"] += round_ * numbers
            if record.get("stack"):
                record["stack"][0]["line"] = 100 + round_ % lines
            yield line(record)
            count += 1
            if count == events:
                return
        round_ += 1
