# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs of real runs, read after the fact: the live answer, and no damage is hidden."""

import collections
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import logs
import pytest
from processes import DEADLINE, TOTALS


def run(*argv, **options):
    return subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, timeout=DEADLINE, **options
    )


@pytest.fixture(scope="session")
def logged(binary, any_target, tmp_path_factory):
    """A run that has findings of all kinds, and what was told live."""

    def start(mode, *options):
        folder = tmp_path_factory.mktemp("run")
        command = any_target.command(folder, "kinds.py", mode)
        result = run(binary, "--log", folder / "log", *options, "--", *command)
        assert result.returncode == 0, result.stderr
        return folder / "log", result.stderr

    return start


@pytest.fixture(scope="session")
def toggling(logged):
    return logged("toggling", "--log-plain")


def report(binary, *arguments):
    result = run(binary, "report", *arguments)
    assert result.returncode in (0, 3), result.stderr
    return result


def json_of(binary, *arguments):
    return json.loads(report(binary, "--json", *arguments).stdout)


def by_fingerprint(records):
    """What an independent reader makes of a log's records."""
    counts, number = collections.Counter(), {}
    for record in records:
        if record["type"] == "finding":
            number[record["finding"]] = record["fingerprint"]
        if record["type"] in ("finding", "again"):
            counts[number[record["finding"]]] += 1
    return counts


def test_the_answer_is_the_live_one(binary, toggling):
    log, live = toggling
    text = report(binary, log).stdout
    assert TOTALS.search(live)[0] == TOTALS.search(text)[0]
    assert re.search("^ledger: .*$", live, re.M)[0] == re.search("^ledger: .*$", text, re.M)[0]
    found = json_of(binary, log)
    records = logs.read(log)
    assert {one["fingerprint"]: one["count"] for one in found["findings"]} == by_fingerprint(
        records
    )
    assert found["read"]["records"] == len(records)
    assert found["unknown"] is None
    kinds = collections.Counter(r["kind"] for r in records if r["type"] == "trace_begin")
    for kind, count in kinds.items():
        assert re.search(rf"^traces: .*\b{count} {kind}\b", text, re.M)
    severities = ["violation", "low", "note", "info", "suppressed"]
    order = [severities.index(one["severity"]) for one in found["findings"]]
    assert order == sorted(order)


def test_without_the_totals_the_counts_are_the_same(binary, toggling, tmp_path):
    """A run that is killed has not told them: they come from its records."""
    log, _ = toggling
    whole = json_of(binary, log)
    (segment,) = logs.segments(log)
    lines = segment.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'"type":"end"' not in line and b'"type":"close"' not in line]
    (tmp_path / "cut.jsonl").write_bytes(b"".join(kept))
    found = json_of(binary, tmp_path / "cut.jsonl")
    for key in ("processes", "traces", "violations", "infos", "findings", "notes"):
        assert found["totals"][key] == whole["totals"][key], key
    assert found["findings"] == whole["findings"]
    assert "runs without an end: 1" in found["unknown"]


def test_all_forms_of_a_log(binary, toggling, tmp_path):
    log, _ = toggling
    (segment,) = logs.segments(log)
    whole = json_of(binary, log)
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(segment.read_bytes()))
    subprocess.run(["zstd", "-q", segment, "-o", tmp_path / "x.zst"], check=True)
    for path in (packed, tmp_path / "x.zst"):
        assert json_of(binary, path) == whole
        result = run(binary, "report", "--json", "-", stdin=path.open("rb"))
        assert json.loads(result.stdout) == whole
    both = json_of(binary, packed, log)  # the same run twice counts once
    assert both["findings"] == whole["findings"] and both["totals"] == whole["totals"]
    assert both["read"]["duplicates"] == whole["read"]["records"]


def test_many_segments(binary, logged, toggling):
    """Rotated and compressed: the answer does not depend on it."""
    log, _ = logged("toggling", "--log-rotate", "records=7")
    assert len(logs.segments(log)) > 5
    assert all(path.suffix == ".zst" for path in logs.segments(log))
    found, expected = json_of(binary, log), json_of(binary, toggling[0])
    for key in ("traces", "violations", "infos", "findings", "notes"):
        assert found["totals"][key] == expected["totals"][key]
    counts = {one["fingerprint"]: one["count"] for one in expected["findings"]}
    assert {one["fingerprint"]: one["count"] for one in found["findings"]} == counts
    assert run(binary, "verify", log).returncode == 0
    # One that is gone is missed.
    logs.segments(log)[2].unlink()
    result = run(binary, "verify", log)
    assert result.returncode == 1 and "missing are the records" in result.stdout
    result = report(binary, "--fail-on", "unknown", log)
    assert result.returncode == 3 and "damaged or missing in the log: 1" in result.stdout


def test_filters(binary, toggling):
    log, _ = toggling
    whole = json_of(binary, log)
    records = logs.read(log)
    pid = next(record["pid"] for record in records if "pid" in record)
    only = json_of(binary, "--pid", pid, log)["findings"]
    assert only == whole["findings"]
    assert json_of(binary, "--pid", pid + 1, log)["findings"] == []
    assert json_of(binary, "--host", "no-such-host", log)["findings"] == []
    only = json_of(binary, "--kinds", "make_fx", log)["findings"]
    assert only == [one for one in whole["findings"] if one["kind"] == "make_fx"]
    times = sorted(r["time"] for r in records if r["type"] in ("finding", "again"))
    middle = times[len(times) // 2]
    before = json_of(binary, "--until", middle[:19], log)
    assert before["unknown"] is None  # its end is known, if it is not asked for
    before = before["findings"]
    after = json_of(binary, "--since", middle[:19], log)["findings"]
    counts = collections.Counter()
    for one in before + after:
        counts[one["fingerprint"]] += one["count"]
    assert counts == {one["fingerprint"]: one["count"] for one in whole["findings"]}


def test_one_trace(binary, toggling):
    log, _ = toggling
    records = [record for record in logs.read(log) if record.get("trace") == 1]
    text = run(binary, "report", "--trace", 1, log).stdout
    changes = [record for record in records if record["type"] == "change"]
    assert len(re.findall("VIOLATION: grad mode|change: grad mode", text)) == len(changes) > 0
    assert text.index("begins: make_fx") < text.index("VIOLATION") < text.index("ends: ")
    for frame in changes[0]["stack"]:
        assert f"{frame['file']}:{frame['line']} in {frame['function']}" in text


def test_baseline(binary, logged, toggling, tmp_path):
    log, _ = toggling
    same = report(binary, "--fail", "--baseline", log, log)
    assert same.returncode == 0 and "that are new: 0" in same.stdout
    clean, _ = logged("clean")
    result = report(binary, "--fail-on", "violation", "--baseline", clean, log)
    found = json_of(binary, "--baseline", clean, log)["findings"]
    assert result.returncode == 3
    assert {one["change"] for one in found if one["severity"] == "violation"} == {"new"}
    gone = json_of(binary, "--baseline", log, clean)
    assert set(gone["gone"]) == {one["fingerprint"] for one in found} - {
        one["fingerprint"] for one in gone["findings"]
    }
    # Accepted findings are none.
    (tmp_path / "accepted").write_text("all * * *\n")
    result = report(binary, "--fail", "--suppress", tmp_path / "accepted", log)
    assert result.returncode == 0, result.stderr


def test_clean_is_said_of_what_is_whole(binary, logged, tmp_path):
    log, _ = logged("clean", "--log-plain")
    records = logs.read(log)
    changes = [record for record in records if record["type"] == "change" and not record["info"]]
    text = report(binary, "--fail", log)
    assert text.returncode == 0
    assert ("clean: no change" in text.stdout) == (not changes)
    assert not changes
    (segment,) = logs.segments(log)
    data = segment.read_bytes()
    for at in random.Random(1).sample(range(len(data)), 100):
        (tmp_path / "hurt.jsonl").write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        hurt = report(binary, "--fail", tmp_path / "hurt.jsonl")
        assert hurt.returncode == 3 and "clean" not in hurt.stdout, at
        assert re.search(r"hurt.jsonl: byte \d+: ", hurt.stderr)


def test_damages_against_another_reader(binary, toggling, tmp_path):
    """Bytes that are changed, and cuts: which records are whole, Python says as well."""
    log, _ = toggling
    (segment,) = logs.segments(log)
    data = segment.read_bytes()[:60000]
    chance = random.Random(2)
    for _ in range(100):
        hurt = bytearray(data[: chance.randrange(1, len(data))])
        for _ in range(chance.randrange(4)):
            hurt[chance.randrange(len(hurt))] = chance.randrange(256)
        (tmp_path / "hurt.jsonl").write_bytes(hurt)
        records, damaged = logs.records_of(bytes(hurt))
        result = run(binary, "verify", tmp_path / "hurt.jsonl")
        assert result.returncode == 1
        assert f"1 file, {len(records)} record" in result.stdout
        for offset in damaged:
            assert re.search(rf"hurt.jsonl: byte {offset}: ", result.stdout)


def test_killed(binary, any_target, tmp_path):
    """SIGKILL while it writes: what was written is whole, and counted."""
    log = tmp_path / "log"
    command = any_target.command(tmp_path, "kinds.py", "toggling")
    monitor = subprocess.Popen(
        list(map(str, [binary, "--log", log, "--", *command])), stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + DEADLINE
    while not any(r["type"] == "finding" for r in logs.so_far(log)):
        assert time.monotonic() < end and monitor.poll() is None
        time.sleep(0.02)
    live = run(binary, "verify", log)  # while it is written: no alarm
    assert live.returncode == 0 and "being written: 1" in live.stdout, live.stdout
    assert "clean" not in report(binary, log).stdout
    monitor.send_signal(signal.SIGKILL)
    monitor.wait()
    found = json_of(binary, log)
    records = logs.so_far(log)
    assert {one["fingerprint"]: one["count"] for one in found["findings"]} == by_fingerprint(
        records
    )
    violations = sum(r["type"] == "change" and not r["info"] for r in records)
    assert found["totals"]["violations"] == violations
    assert "runs without an end: 1" in found["unknown"]
    # The next run in the folder finishes what this one has left.
    assert run(binary, "--log", log, "--", "true").returncode == 0
    assert not [path for path in log.iterdir() if path.suffix in (".jsonl", ".tmp")]
    assert json_of(binary, log)["findings"] == found["findings"]


def test_second_writer(binary, tmp_path):
    log = tmp_path / "log"
    first = subprocess.Popen([binary, "--log", log, "--", "sleep", "60"], stderr=subprocess.DEVNULL)
    end = time.monotonic() + DEADLINE
    while not logs.so_far(log):
        assert time.monotonic() < end
        time.sleep(0.02)
    second = run(binary, "--log", log, "--", "true")
    first.send_signal(signal.SIGTERM)
    first.wait()
    assert second.returncode == 2
    assert f"process {first.pid} writes there already" in second.stderr


def test_bad_files(binary, toggling, tmp_path):
    """Each gets its line; what is good is read all the same."""
    log, _ = toggling
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(random.Random(3).randbytes(100000))
    shutil.copy("/bin/true", tmp_path / "program")
    whole = json_of(binary, log)
    files = [tmp_path / name for name in ("empty", "binary", "program")]
    result = run(binary, "report", "--json", *files, log)
    found = json.loads(result.stdout)
    assert found["findings"] == whole["findings"]
    for path in files:
        assert f"{path}: byte " in result.stderr
    for arguments in ([tmp_path / "none"], [os.devnull + "/x"], []):
        assert run(binary, "report", *arguments).returncode == 2
    (tmp_path / "folder").mkdir()
    assert "no segment in the folder" in run(binary, "report", tmp_path / "folder").stderr


def test_output_of_json_is_a_log(binary, any_target, tmp_path):
    command = any_target.command(tmp_path, "artefact.py")
    events = tmp_path / "events"
    run(binary, "--json", "-o", events, "--log", tmp_path / "log", "--", *command)
    one, other = json_of(binary, events), json_of(binary, tmp_path / "log")
    assert one["findings"] and one["unknown"] is None
    assert one["totals"]["violations"] == other["totals"]["violations"]
    for key in ("fingerprint", "severity", "place"):
        assert [f[key] for f in one["findings"]] == [f[key] for f in other["findings"]]


def test_record(binary, any_target, tmp_path):
    """The short form for a job: the status is the command's, the report is beside the log."""
    command = any_target.command(tmp_path, "kinds.py", "toggling")
    folder = tmp_path / "job"
    result = run(binary, "record", "--fail-on", "violation", "-o", folder, "--", *command)
    assert result.returncode == 3, result.stderr
    assert json.loads((folder / "report.json").read_text()) == json_of(binary, folder)
    assert (folder / "report.txt").read_text() == report(binary, folder).stdout
    assert "VIOLATION" in (folder / "report.txt").read_text()
    # In the same folder again: the report is of both.
    result = run(binary, "record", "-o", folder, "--", "sh", "-c", "exit 7")
    assert result.returncode == 7
    assert json.loads((folder / "report.json").read_text())["read"]["runs"] == 2
    for wrong in (["-o", folder], ["--", "true"]):
        assert "record wants a folder and a command" in run(binary, "record", *wrong).stderr
    assert "--pid is not for record" in run(binary, "record", "-o", folder, "--pid", "1").stderr
    result = run(binary, "record", "-o", tmp_path / "none" / "x", "--", "true")
    assert result.returncode == 2


GOLDEN = sorted((pathlib.Path(__file__).parents[1] / "logs").glob("*.jsonl"))


def test_the_same_counts_as_another_reader(binary, tmp_path):
    """Plain, out of zstd, and of several runs: make check-log-peers asks DuckDB too."""
    assert len(GOLDEN) > 1
    for log in GOLDEN:
        packed = tmp_path / f"{log.name}.zst"
        subprocess.run(["zstd", "-q", log, "-o", packed], check=True)
        records, damaged = logs.records_of(log.read_bytes())
        assert not damaged
        for path in (log, packed):
            assert logs.report(json_of(binary, path)) == logs.counts([records])
    both = [logs.records_of(log.read_bytes())[0] for log in GOLDEN]
    assert logs.report(json_of(binary, tmp_path)) == logs.counts(both)


def has_all(found, expected):
    """Whether an object says all that another one did; it may say more."""
    if isinstance(expected, dict):
        return expected.keys() <= found.keys() and all(
            has_all(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(has_all, found, expected))
    return found == expected


@pytest.mark.parametrize("log", GOLDEN, ids=lambda log: log.stem)
def test_golden(binary, log):
    """A log of a real run (tests/logs/neutral.py) reads the same in every version."""
    assert run(binary, "verify", log).returncode == 0
    assert report(binary, log).stdout == log.with_suffix(".txt").read_text()
    expected = json.loads(log.with_suffix(".json").read_text())
    assert has_all(json_of(binary, log), expected)
    assert has_all(json_of(binary, "--fast", log), expected)


SEVERAL = {
    ("make_fx", "scope", True): 1,  # in a thread
    ("make_fx", "scope", False): 1,
    ("make_fx", "unbalanced", False): 1,
    ("export", "scope", False): 1,
    ("export", "unbalanced", False): 1,
    ("decompose", "scope", True): 1,
    ("pre_dispatch", "scope", True): 1,  # a note
}


@pytest.mark.parametrize("log", [log for log in GOLDEN if log.stem.startswith("several-")])
def test_findings_of_several_kinds(binary, log):
    """What tests/programs/several.py does, as another reader finds it and as a report says it."""
    records, damaged = logs.records_of(log.read_bytes())
    findings = [record for record in records if record["type"] == "finding"]
    assert not damaged
    assert (
        collections.Counter((one["kind"], one["category"], one["restored"]) for one in findings)
        == SEVERAL
    )
    assert len({record["tid"] for record in records if record["type"] == "trace_begin"}) == 2
    found = json_of(binary, log)
    same = ("fingerprint", "kind", "category", "severity", "advice", "pid", "comm", "exe", "user")
    assert sorted([[one[key] for key in same] for one in found["findings"]], key=str) == sorted(
        [[one[key] for key in same] for one in findings], key=str
    )
    for one in findings:
        (shown,) = [f for f in found["findings"] if f["fingerprint"] == one["fingerprint"]]
        assert (shown["restored"], shown["not_restored"]) == (one["restored"], not one["restored"])
    severities = collections.Counter(one["severity"] for one in findings)
    assert found["totals"]["findings"] == severities["violation"] + severities["low"]
    assert found["totals"]["notes"] == severities["note"] == 1
