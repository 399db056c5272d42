#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a log that the tree can keep of a real one: neutral.py SEGMENT OUT OLD=NEW...

Each OLD at the begin of a string becomes NEW, and the machine's own names become others; what they
were must not be left anywhere. All else stays as it was written; the checksums are made again.

    gradwatch --log LOG --log-plain -- python "$PWD/tests/programs/several.py"
    cd tests/logs
    ./neutral.py LOG/*.jsonl several-2.13.jsonl "$PWD/../programs=/home/user/model"
    gradwatch report several-2.13.jsonl > several-2.13.txt
    gradwatch report --json several-2.13.jsonl > several-2.13.json
"""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import logs  # noqa: E402

NAMES = {
    "host": "node1",
    "boot_id": "00000000-0000-4000-8000-000000000001",
    "kernel": "6.1.0-50-amd64",
    "uid": 1000,
}


def neutral(value, prefixes, key=None):
    if key in NAMES:
        return NAMES[key]
    if isinstance(value, dict):
        return {name: neutral(inner, prefixes, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [neutral(inner, prefixes) for inner in value]
    for old, new in prefixes if isinstance(value, str) else ():
        if value.startswith(old):
            return new + value[len(old) :]
    return value


def strings(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def main():
    source, out, *pairs = sys.argv[1:]
    prefixes = [tuple(pair.split("=", 1)) for pair in pairs]
    records, damaged = logs.records_of(pathlib.Path(source).read_bytes())
    assert records and not damaged
    lines, paths = [], set()
    for record in records:
        del record["crc"]
        changed = neutral(record, prefixes)
        body = json.dumps(changed, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
        lines.append(b'%s,"crc":"%08x"}\n' % (body, logs.crc32c(body)))
        paths.update(text for text in strings(changed) if text.startswith("/"))
    text = b"".join(lines).decode()
    for old in [records[0][key] for key in ("host", "boot_id", "kernel")] + [
        p[0] for p in prefixes
    ]:
        assert old not in text, old
    assert all(re.match("/(home/user|opt/venv|usr)/", path) for path in paths), sorted(paths)
    pathlib.Path(out).write_text(text)


if __name__ == "__main__":
    main()
