# SPDX-License-Identifier: GPL-2.0-or-later
"""A real log through a real OpenTelemetry Collector, with the configuration that is shipped.

The collector is a build of somebody's (collector.txt): it runs as nobody, in a network of its own
with nothing in it but the loopback interface and the receiver.
"""

import datetime
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import pytest
from processes import DEADLINE, Process

HERE = pathlib.Path(__file__).parent
CONTRIB = HERE.parents[1] / "contrib/otelcol"
INSIDE = """ip link set lo up
"$1" "$2" 4318 "$3" &
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all \\
	"$4" --config "$5"
"""
ERROR, WARN, INFO = 17, 13, 9


@pytest.fixture
def place():
    """A folder that nobody can read, with the collector in it."""
    folder = pathlib.Path(tempfile.mkdtemp())
    collector = next(pathlib.Path(os.environ["GRADWATCH_OTELCOL"]).rglob("otelcol-contrib_*"))
    shutil.copy(collector, folder / "otelcol")
    shutil.copy(HERE / "receiver.py", folder)
    (folder / "log").mkdir()
    (folder / "otelcol").chmod(0o755)
    (folder / "received").touch()
    (folder / "received").chmod(0o666)
    config = (CONTRIB / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("/var/log/gradwatch/", f"{folder}/log/"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def started(place):
    files = [sys.executable, place / "receiver.py", place / "received"]
    files += [place / "otelcol", place / "config.yaml"]
    return Process(["unshare", "--net", "sh", "-c", INSIDE, "sh", *map(str, files)])


def received(place):
    lines = (place / "received").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def nanoseconds(text):
    seconds, fraction = text.rstrip("Z").split(".")
    moment = datetime.datetime.fromisoformat(seconds + "+00:00")
    return int(moment.timestamp()) * 10**9 + int(fraction)


def look_up(record, key):
    for part in key.split("."):
        record = (record or {}).get(part)
    return record


def mapping():
    lines = (CONTRIB / "attributes.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def severity(record):
    if record["type"] in ("lost", "lost_output", "gap", "skipped"):
        return WARN
    return ERROR if record.get("severity") == "violation" else INFO


def check(line, got):
    """All that the table says, and nothing else."""
    record = json.loads(line)
    assert got["time"] == nanoseconds(record["time"])
    assert got["severity"] == severity(record)
    expected = {"record": {}, "resource": {"service.name": "gradwatch"}}
    for key, of, attribute, kind in mapping():
        if (value := look_up(record, key)) is not None:
            expected[of][attribute] = value
            assert type(value) is {"int": int, "string": str, "bool": bool}[kind]
    expected["record"]["event.name"] = "gradwatch." + record["type"]
    assert got["attributes"].pop("log.file.name").endswith(".jsonl")
    assert got["attributes"] == expected["record"]
    assert got["resource"] == expected["resource"]
    types = {name: type(value) for name, value in got["attributes"].items()}
    assert types == {name: type(value) for name, value in expected["record"].items()}


def test_records_arrive(gradwatch, puppet, place, tmp_path):
    log = tmp_path / "log"
    program = puppet()
    options = ("--log-plain", "--log-rotate", "records=20")
    monitor = gradwatch("--pid", program.pid, "--log", log, *options).armed()
    program.run(*("trace", "block no_grad", "operator", "end", "end") * 5)
    monitor.wait_for("trace_end", 5)
    monitor.stop()
    segments = sorted(log.glob("*.jsonl"))
    assert len(segments) > 1
    collector = started(place)
    for segment in segments:  # as it is written: a line may not be whole yet
        data = segment.read_bytes()
        with open(place / "log" / segment.name, "wb", buffering=0) as out:
            out.write(data[: len(data) // 2])
            time.sleep(0.5)
            out.write(data[len(data) // 2 :])
    lines = [line for segment in segments for line in segment.read_text().splitlines()]
    end = time.monotonic() + DEADLINE
    while len(got := received(place)) < len(lines):
        assert collector.alive() and time.monotonic() < end, collector.stderr
        time.sleep(0.2)
    assert sorted(each["body"] for each in got) == sorted(lines)
    by_line = {each["body"]: each for each in got}
    for line in lines:
        check(line, by_line[line])
    types = {each["attributes"]["event.name"] for each in got}
    assert {"gradwatch.finding", "gradwatch.header", "gradwatch.trace_end"} <= types
    assert "error" not in collector.stderr.lower(), collector.stderr
