# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs that no gradwatch has written so: each gets its line, the rest is read, memory bounded."""

import json
import os
import random
import re
import subprocess
import sys

import logs
import pytest
from test_report import GOLDEN, run

MEMORY = 64 << 10  # kB

WHOLE = GOLDEN[0].read_bytes()
LINES = WHOLE.splitlines(keepends=True)
RECORDS = len(LINES)


def line(record):
    """A line of a log; the record has its number."""
    body = json.dumps(record, separators=(",", ":")).encode()[:-1]
    return b'%s,"crc":"%08x"}\n' % (body, logs.crc32c(body))


def again(text, **changes):
    """A line of a log with other values, and the right checksum."""
    record = json.loads(text)
    del record["crc"]
    return line(record | changes)


# A process begins with the peak of the one that it is forked from: this one is small.
LAUNCH = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
os.write(int(sys.argv[1]), b"%d" % usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def read(binary, *arguments, status=0):
    """What a report says, its errors; memory is bounded whatever it reads."""
    peak, end = os.pipe()
    command = [sys.executable, "-SEc", LAUNCH, end, binary, "report", "--json", *arguments]
    result = run(*command, pass_fds=[end])
    os.close(end)
    with open(peak) as file:
        memory = int(file.read())
    assert result.returncode == status, result.stderr
    assert memory < MEMORY
    return json.loads(result.stdout), result.stderr


def check(binary, path, *told, records=RECORDS):
    """The file is damaged so, and all of the golden log that is in it is read."""
    found, errors = read(binary, path)
    for one in told:
        assert re.search(f"^{re.escape(str(path))}: byte {one}", errors, re.M), errors
    assert found["read"]["records"] == records
    assert found["read"]["damages"] == len(told)
    assert found["unknown"]
    read(binary, "--fail-on", "unknown", path, status=3)
    return found


def test_a_gigantic_line(binary, tmp_path):
    """Longer than any record; below the limit, but of many values; with an end, and without."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(LINES[0] + b"x" * (100 << 20) + b"\n" + b"".join(LINES[1:]))
    check(binary, path, f"{len(LINES[0])}: a line that is longer than 2 MiB")
    many = b'{"v":2,"type":"start","a":[' + b"1," * 1_000_000 + b"1]}\n"
    path.write_bytes(LINES[0] + many + b"".join(LINES[1:]))
    check(binary, path, f"{len(LINES[0])}: a record whose checksum is wrong")
    path.write_bytes(WHOLE[: -len(LINES[-1])] + b"[" * (50 << 20))
    at = len(WHOLE) - len(LINES[-1])
    told = f"{at}: a line that is longer than 2 MiB"
    check(binary, path, told, r"\d+: it ends without its closing", records=len(LINES) - 1)


def test_a_bomb(binary, tmp_path):
    """A small file of 1 GiB of text in one line, and one that wants a gigabyte to be read."""
    path = tmp_path / "log.jsonl.zst"
    pack = subprocess.Popen(["zstd", "-q", "-3", "-o", path], stdin=subprocess.PIPE, bufsize=0)
    pack.stdin.write(LINES[0])
    for _ in range(1024):
        pack.stdin.write(bytes(1 << 20))
    pack.stdin.write(b"\n" + b"".join(LINES[1:]))
    pack.stdin.close()
    assert pack.wait() == 0 and path.stat().st_size < 1 << 20
    check(binary, path, f"{len(LINES[0])} of its text: a line that is longer")

    path.unlink()
    long = ["zstd", "-q", "-1", "--long=30", "-o", path]
    chance = random.Random(1).randbytes(1 << 20)
    pack = subprocess.Popen(long, stdin=subprocess.PIPE, bufsize=0)
    for _ in range(100):
        pack.stdin.write(chance)
    pack.stdin.close()
    assert pack.wait() == 0
    found, errors = read(binary, path, GOLDEN[0])
    assert f"{path}: byte 0: Frame requires too much memory for decoding" in errors
    assert found["read"]["records"] == len(LINES)


def test_truncated_binary_empty(binary, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(WHOLE[:-5])
    told = f"{len(WHOLE) - len(LINES[-1])}: a line that is cut off"
    check(binary, path, told, r"\d+: it ends without", records=len(LINES) - 1)
    for junk in (b"", random.Random(1).randbytes(1 << 20), bytes(1 << 20)):
        path.write_bytes(junk)
        found, errors = read(binary, path, GOLDEN[0])
        assert f"{path}: byte 0: " in errors
        assert found["read"]["records"] == len(LINES)
    path.write_bytes(b"".join(LINES[:5]) + bytes(4096) + b"\n" + b"".join(LINES[5:]))
    check(binary, path, f"{sum(map(len, LINES[:5]))}: a record whose checksum is wrong")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"v":2,"type":"change","seq":1000,"pid":1,"pid":2', "a key that is there twice"),
        (b'{"v":2,"type":"change","seq":1000,"a":{"b":[{"c":1,"c":1}]}', "a key that is there"),
        (b'{"v":2,"type":"change","seq":1000,"comm":"\xff\xfe"', "no JSON"),
        (b'{"v":2,"type":"change","seq":1000,"comm":"\xed\xa0\x80"', "no JSON"),
        (b'{"type":"change","seq":1000', 'no record: it lacks "v" or "type"'),
    ],
)
def test_a_bad_record_with_a_right_checksum(binary, tmp_path, body, what):
    """Somebody's writer: the parser tells what the checksum does not."""
    path = tmp_path / "log.jsonl"
    bad = b'%s,"crc":"%08x"}\n' % (body, logs.crc32c(body))
    path.write_bytes(b"".join(LINES[:5]) + bad + b"".join(LINES[5:]))
    check(binary, path, f"{sum(map(len, LINES[:5]))}: {what}")


def test_time_that_goes_backwards(binary, tmp_path):
    """Somebody has set the clock: the counts are the same, and all of the time is in the report."""
    path = tmp_path / "log.jsonl"
    times = [json.loads(text)["time"] for text in LINES]
    path.write_bytes(
        b"".join(again(t, time=new) for t, new in zip(LINES, reversed(times), strict=True))
    )
    found, errors = read(binary, path)
    whole, _ = read(binary, GOLDEN[0])
    assert not errors and found["unknown"] is None
    assert found["totals"] == whole["totals"] and found["read"] == whole["read"]
    for one, other in zip(found["findings"], whole["findings"], strict=True):
        assert one["fingerprint"] == other["fingerprint"] and one["count"] == other["count"]
        assert one["first"] <= one["last"]


def test_two_versions(binary, tmp_path):
    """A newer gradwatch went on in the folder: what is known of its records is read, and told."""
    (tmp_path / "1.jsonl").write_bytes(WHOLE)
    newer = [again(text, v=3, new={"key": [1]}) for text in LINES]
    newer = [
        again(text, run_id="00000000000000ff", gradwatch="9.9")
        if i in (0, len(newer) - 1)
        else text
        for i, text in enumerate(newer)
    ]
    extra = line({"v": 3, "type": "novelty", "time": "x", "seq": len(LINES) - 1})
    newer[-1] = again(newer[-1], seq=len(LINES))
    (tmp_path / "2.jsonl").write_bytes(b"".join([*newer[:-1], extra, newer[-1]]))
    found, errors = read(binary, tmp_path)
    one, _ = read(binary, GOLDEN[0])
    assert not errors
    assert found["read"]["runs"] == 2 and found["read"]["records"] == 2 * len(LINES) + 1
    assert f"records of a newer schema: {len(LINES) + 1}" in found["unknown"]
    assert "records of an unknown type: 1" in found["unknown"]
    assert found["totals"]["violations"] == 2 * one["totals"]["violations"]
    assert [f["count"] for f in found["findings"]] == [2 * f["count"] for f in one["findings"]]


def test_ten_thousand_segments(binary, tmp_path):
    """Of one run; and then one of them is gone."""
    run_id = json.loads(LINES[0])["run_id"]
    finding = next(text for text in LINES if json.loads(text)["type"] == "finding")
    short = next(text for text in LINES if json.loads(text)["type"] == "again")
    short = again(short, finding=json.loads(finding)["finding"])
    sequence = 0
    for number in range(10_000):
        texts = []
        for text in (LINES[0], short if number else finding, LINES[-1]):
            changes = {"count": number + 1} if text is short else {}
            texts.append(again(text, seq=sequence, reason="size", totals={}, types={}, **changes))
            sequence += 1
        name = f"20260102T030405Z-{run_id[:12]}-{number + 1:06}.jsonl"
        (tmp_path / name).write_bytes(b"".join(texts))
    found, _ = read(binary, tmp_path)
    assert found["read"]["files"] == 10_000 and found["read"]["records"] == 30_000
    assert found["read"]["runs"] == 1
    assert [one["count"] for one in found["findings"]] == [10_000]
    # It has no end, as the last segment says that one follows.
    assert found["read"]["damages"] == 1
    (tmp_path / f"20260102T030405Z-{run_id[:12]}-004321.jsonl").unlink()
    found, errors = read(binary, tmp_path)
    assert found["read"]["damages"] == 2
    assert "missing are the records 12960 to 12962" in errors


def test_folders(binary, tmp_path):
    """In folders; without a log; as standard input."""
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path):
        result = subprocess.run([binary, "report", path], capture_output=True, text=True)
        assert result.returncode == 2 and "no segment in the folder" in result.stderr
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "x.jsonl").write_bytes(WHOLE)
    (tmp_path / "deep" / "x.jsonl").symlink_to("/proc/self/mem")
    (tmp_path / "deep" / "README").write_text("no log\n")
    found, errors = read(binary, tmp_path)
    assert found["read"]["records"] == len(LINES)
    assert re.search(r"deep/x\.jsonl: byte 0: ", errors)
    command = [binary, "report", "-"]
    folder = os.open(tmp_path, os.O_RDONLY)
    result = subprocess.run(command, capture_output=True, text=True, stdin=folder)
    os.close(folder)
    assert "standard input: byte 0: Is a directory" in result.stderr
    assert "clean" not in result.stdout


def test_fast_is_the_same(binary, tmp_path):
    """Whole, damaged and without checksums: the same answer, and each damage is told."""
    path = tmp_path / "log.jsonl"
    chance = random.Random(4)
    plain = [json.loads(text) for text in LINES[1:-1]]
    without = [{k: v for k, v in record.items() if k not in ("seq", "crc")} for record in plain]
    at = next(i for i, record in enumerate(plain) if record["type"] == "change")
    # The key that the head ends at, where it is not the record's own, or only text.
    nested = again(LINES[at + 1], torch={"a": 1, "stack_status": "whole"}, seq=at + 1)
    text = again(LINES[at + 1], comm=',"stack_status":"', seq=at + 1)
    contents = [
        WHOLE,
        b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in without),
        WHOLE.replace(LINES[at + 1], nested),
        WHOLE.replace(LINES[at + 1], text),
    ]
    for _ in range(20):
        hurt = bytearray(WHOLE)
        hurt[chance.randrange(len(hurt))] ^= 1 << chance.randrange(8)
        contents.append(bytes(hurt))
    for content in contents:
        path.write_bytes(content)
        assert read(binary, "--fast", path) == read(binary, path)
    # What is trusted is the checksum alone, of stacks that are not shown.
    body = b'{"v":2,"type":"change","info":true,"stack_status":"whole","stack":[}],"seq":1000'
    bad = b'%s,"crc":"%08x"}\n' % (body, logs.crc32c(body))
    path.write_bytes(LINES[0] + bad + b"".join(LINES[1:]))
    assert read(binary, "--fast", path)[0]["read"]["records"] == RECORDS + 1
    check(binary, path, f"{len(LINES[0])}: no JSON")
    at = next(i for i, line in enumerate(LINES) if b'"type":"finding"' in line)
    body = LINES[at][:-19].replace(b'"stack":[{', b'"stack":[}')
    path.write_bytes(WHOLE.replace(LINES[at], b'%s,"crc":"%08x"}\n' % (body, logs.crc32c(body))))
    found, errors = read(binary, "--fast", path)
    assert found["read"]["records"] == RECORDS - 1 and found["read"]["damages"] == 1
    assert f": byte {sum(map(len, LINES[:at]))}: no JSON" in errors
    assert "findings whose record is missing: 1" in found["unknown"]
    for wrong in (["report", "--fast", "--trace", "1", path], ["verify", "--fast", path]):
        assert run(binary, *wrong).returncode == 2
