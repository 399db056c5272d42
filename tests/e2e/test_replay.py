# SPDX-License-Identifier: GPL-2.0-or-later
"""A log with the model's inputs: the model that gets them again says what it has said live."""

import json
import os
import signal
import subprocess
import time

import logs
import pytest
from processes import DEADLINE
from targets import PROGRAMS

SEEDS = range(1000, 1020)


def run(*argv, **options):
    return subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, timeout=DEADLINE, **options
    )


class Recorded:
    """A run with its inputs in a log, and what was told live in another form."""

    def __init__(self, binary, folder, options, command, **more):
        self.log, events = folder / "log", folder / "events.jsonl"
        argv = [binary, "--log", self.log, "--log-level", "all", "--log-plain", "--json"]
        result = run(*argv, "-o", events, "--rate", 0, *options, "--", *command, **more)
        assert result.returncode == 0, result.stderr
        self.events = [json.loads(line) for line in events.read_text().splitlines()]


def replayed(binary, *arguments):
    result = run(binary, "report", "--replay", "--json", *arguments)
    assert result.returncode in (0, 3), result.stderr
    found = json.loads(result.stdout)
    return found, found["replay"], result


def check(binary, recorded):
    """The replay is the live answer, to the last count; returns the report."""
    found, (replay,), _ = replayed(binary, recorded.log)
    assert replay["not_comparable"] is None
    assert replay["different"] == 0, replay["differences"]
    records = logs.read(recorded.log)
    # A change is an input, and no record of its own.
    assert not [r for r in records if r["type"] in ("change", "again")]
    compared = ("finding", "repeated", "trace_begin", "trace_end", "action", "lost", "totals")
    assert replay["compared"] == sum(r["type"] in (*compared, "end") for r in records)
    assert replay["inputs"] == sum(r["count"] for r in records if r["type"] == "input")
    # What was told live by --json, which is no part of the log.
    live = logs.counts([recorded.events])
    assert {one["fingerprint"]: one["count"] for one in found["findings"]} == {
        fingerprint: one["count"] for fingerprint, one in live["findings"].items()
    }
    for key in ("violations", "infos", "traces"):
        assert found["totals"][key] == live[key], key
    (end,) = (event for event in recorded.events if event["type"] == "end")
    for key in ("processes", "findings", "notes", "suppressed", "lost", "ledger"):
        assert found["totals"][key] == end[key], key
    assert found["totals"]["counters"] == {**end["counters"], "drifts": end["drifts"]}
    states = {True: "restored", False: "not_restored", None: "restored_unknown"}
    for fingerprint in live["findings"]:
        (one,) = (one for one in found["findings"] if one["fingerprint"] == fingerprint)
        of = [e for e in recorded.events if e.get("fingerprint") == fingerprint]
        for value, key in states.items():
            assert one[key] == sum(event["restored"] is value for event in of)
    return found


OPTIONS = {"default": [], "began": ["--began", "on"], "kinds": ["--kinds", "all"]}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_kind_of_trace(binary, target, tmp_path, options):
    command = target.command(tmp_path, "kinds.py", "toggling")
    recorded = Recorded(binary, tmp_path, options, command)
    found = check(binary, recorded)
    assert found["totals"]["violations"] and len(found["findings"]) > 3
    # Without the replay the report says the same, but for when a finding has occurred last.
    result = run(binary, "report", "--json", recorded.log)
    plain = json.loads(result.stdout)
    assert plain["totals"] == found["totals"] and plain["unknown"] is None
    for one in (*plain["findings"], *found["findings"]):
        del one["last"]
    assert plain["findings"] == found["findings"]


def test_what_was_accepted_is_accepted_again(binary, any_target, tmp_path):
    command = any_target.command(tmp_path, "kinds.py", "toggling")
    file = tmp_path / "suppressions"
    file.write_text("# a comment\nmine make_fx,export *kinds.py Toggling.*\n")
    found = check(binary, Recorded(binary, tmp_path, ["--suppress", file], command))
    assert found["totals"]["suppressed"]
    file.unlink()


@pytest.fixture(scope="session")
def setter_hook(tmp_path_factory):
    library = tmp_path_factory.mktemp("hook") / "setter_hook.so"
    source = PROGRAMS / "setter_hook.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def test_random_programs(binary, any_target, tmp_path, setter_hook):
    (tmp_path / setter_hook.name).write_bytes(setter_hook.read_bytes())
    (tmp_path / "programs").mkdir()
    inside = any_target.path(tmp_path / setter_hook.name).rsplit("/", 1)[0]
    command = any_target.command(
        *(tmp_path, "random_findings.py", f"{inside}/programs", *map(str, SEEDS)),
        environment={"LD_PRELOAD": f"{inside}/{setter_hook.name}"},
    )
    found = check(binary, Recorded(binary, tmp_path, [], command))
    assert len(found["findings"]) > 10


def test_what_was_done_is_told_again(binary, any_target, tmp_path):
    command = any_target.command(tmp_path, "enforced.py", "forms")
    options = ["--on-violation", "raise", "--enforce-kinds", "make_fx"]
    recorded = Recorded(binary, tmp_path, options, command, input="go\n")
    check(binary, recorded)
    assert [event for event in recorded.events if event["type"] == "action"]


# --- logs that are not whole, or not as they were -----------------------------------------------


@pytest.fixture(scope="session")
def toggling(binary, any_target, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toggling")
    options = ["--log-rotate", "records=8"]
    return Recorded(binary, folder, options, any_target.command(folder, "kinds.py", "toggling")).log


def rewritten(log, folder, change):
    """A copy of a log whose lines are change(line as bytes without checksum), checksums right."""
    folder.mkdir()
    for segment in logs.segments(log):
        lines = []
        for line in segment.read_bytes().splitlines():
            body = change(line[:-18])
            lines.append(body + b',"crc":"%08x"}\n' % logs.crc32c(body))
        (folder / segment.name).write_bytes(b"".join(lines))
    return folder


def test_many_segments_are_one_run(binary, toggling):
    assert len(logs.segments(toggling)) > 2
    _, (replay,), result = replayed(binary, "--fail-on", "unknown", toggling)
    assert result.returncode == 0 and replay["not_comparable"] is None
    assert replay["compared"] > 10 and replay["different"] == 0


def test_a_difference_is_told(binary, toggling, tmp_path):
    """Whoever changes what was logged, or the model: it shows."""
    changed = rewritten(
        toggling,
        tmp_path / "log",
        lambda line: line.replace(b'"severity":"violation"', b'"severity":"low"')
        if b'"type":"finding"' in line
        else line,
    )
    found, (replay,), result = replayed(binary, "--fail-on", "unknown", changed)
    assert result.returncode == 3 and replay["different"] > 0
    assert f"events that differ in the replay: {replay['different']}" in found["unknown"]
    first = replay["differences"][0]
    assert first["logged"].startswith('"severity":"low"')
    assert first["replayed"].startswith('"severity":"violation"')
    # The replay's word counts.
    assert replayed(binary, toggling)[0]["findings"] == found["findings"]
    text = run(binary, "report", "--replay", changed).stdout
    assert '"severity":"low"' in text and "different: " in text


def test_missing_events_are_told(binary, toggling, tmp_path):
    """A trace that was logged and is not in the inputs: here another is there twice."""
    ends = [r for r in logs.read(toggling) if r["type"] == "trace_end"]
    changed = rewritten(
        toggling,
        tmp_path / "log",
        lambda line: line.replace(b'"type":"trace_end"', b'"type":"unheard_of"')
        if b'"trace":%d,' % ends[-1]["trace"] in line
        else line,
    )
    found, (replay,), _ = replayed(binary, changed)
    assert replay["different"] and "differ in the replay" in found["unknown"]


def test_another_abi_is_refused(binary, toggling, tmp_path):
    changed = rewritten(
        toggling, tmp_path / "log", lambda line: line.replace(b'"abi":', b'"abi":9')
    )
    found, (replay,), result = replayed(binary, "--fail-on", "unknown", changed)
    assert "ABI 9" in replay["not_comparable"] and replay["inputs"] == 0
    assert result.returncode == 3 and "replay cannot be compared: 1" in found["unknown"]
    # What was logged is reported all the same.
    plain = json.loads(run(binary, "report", "--json", toggling).stdout)
    assert found["findings"] == plain["findings"] and found["totals"] == plain["totals"]


def test_a_log_without_inputs(binary, any_target, tmp_path):
    command = any_target.command(tmp_path, "kinds.py", "toggling")
    result = run(binary, "--log", tmp_path / "log", "-o", "/dev/null", "--", *command)
    assert result.returncode == 0, result.stderr
    found, (replay,), result = replayed(binary, "--fail-on", "unknown", tmp_path / "log")
    assert "without inputs" in replay["not_comparable"] and result.returncode == 3
    plain = json.loads(run(binary, "report", "--json", tmp_path / "log").stdout)
    assert found["findings"] == plain["findings"] and found["totals"] == plain["totals"]


@pytest.mark.parametrize("which", [0, 1])
def test_missing_inputs(binary, toggling, tmp_path, which):
    """From there on what was logged counts, and nothing is called clean."""
    folder = tmp_path / "log"
    folder.mkdir()
    kept = logs.segments(toggling)
    with_inputs = [s for s in kept if b'"type":"input"' in s.read_bytes()]
    kept.remove(with_inputs[which])
    for segment in kept:
        (folder / segment.name).write_bytes(segment.read_bytes())
    found, (replay,), result = replayed(binary, "--fail-on", "unknown", folder)
    assert result.returncode == 3
    assert replay["not_comparable"].startswith("inputs are missing: after ")
    assert (replay["inputs"] == 0) == (which == 0)
    assert found["totals"]["violations"]


@pytest.mark.parametrize("damage", ["digit", "garbage", "options", "format"])
def test_inputs_that_are_none(binary, toggling, tmp_path, damage):
    def change(line):
        if b'"type":"input"' not in line:
            return line
        head, data = line.split(b',"data":"')
        data, tail = data.split(b'"', 1)
        if damage == "digit":
            data = b"!" + data[1:]
        elif damage == "garbage":
            data = data[:40] + bytes(reversed(data[40:]))
        elif damage == "options":
            data = data[len(data) // 8 * 4 :]
        else:
            head = head.replace(b'"format":1', b'"format":77')
        return head + b',"data":"' + data + b'"' + tail

    found, (replay,), result = replayed(
        binary, "--fail-on", "unknown", rewritten(toggling, tmp_path / "log", change)
    )
    assert result.returncode == 3 and "cannot be read" in replay["not_comparable"]
    assert found["findings"]


def test_a_run_that_was_killed(binary, any_target, tmp_path, gradwatch, puppet):
    process = puppet()
    monitor = gradwatch(
        *("--pid", process.pid, "--log", tmp_path / "log", "--log-level", "all", "--log-plain")
    ).armed()
    process.run("trace", "set 0", "set 1")
    monitor.wait_for(lambda event: event["type"] == "change")
    time.sleep(1)  # what is known is in the log by then
    os.kill(monitor.pid, signal.SIGKILL)
    monitor.wait()
    found, (replay,), result = replayed(binary, "--fail-on", "unknown", tmp_path / "log")
    assert result.returncode == 3 and "has no end" in replay["not_comparable"]
    assert replay["different"] == 0 and found["totals"]["violations"] == 2
    assert "clean" not in run(binary, "report", "--replay", tmp_path / "log").stdout


def test_record_shows_each_change(binary, any_target, tmp_path):
    command = any_target.command(tmp_path, "kinds.py", "toggling")
    folder = tmp_path / "run"
    result = run(binary, "record", "-o", folder, "--log-level", "all", "--", *command)
    assert result.returncode == 0, result.stderr
    found = json.loads((folder / "report.json").read_text())
    assert found["unknown"] is None and found["replay"][0]["different"] == 0
    begins = [
        event
        for event in json.loads((folder / "trace.perfetto.json").read_text())["traceEvents"]
        if "grad off" in event.get("name", "")
    ]
    assert begins
