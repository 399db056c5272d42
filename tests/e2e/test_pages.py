# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of real runs: the page, the trace for Perfetto, the logs for tlparse."""

import collections
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess

import logs
import pages
import pytest
from processes import DEADLINE


def run(*argv, **options):
    return subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, timeout=DEADLINE, **options
    )


@pytest.fixture(scope="session")
def recorded(binary, any_target, tmp_path_factory):
    """A run with threads, a profiler and PyTorch's own log."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "torch").mkdir()
    command = any_target.command(folder, "profiled.py", str(folder / "profile.json"))
    environment = dict(os.environ, TORCH_TRACE=str(folder / "torch"))
    options = ("record", "--log-plain", "-o", folder / "run", "--")
    result = run(binary, *options, *command, env=environment)
    assert result.returncode == 0, result.stderr
    return folder


def utc_ns(text):
    seconds = datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp()
    return int(seconds) * 10**9 + int(text[20:29])


def test_page_has_what_the_log_has(recorded):
    data = pages.data_of(recorded / "run/page.html")
    records = logs.read(recorded / "run")
    of_type = collections.defaultdict(list)
    for record in records:
        of_type[record["type"]].append(record)
    report = json.loads((recorded / "run/report.json").read_text())
    assert [f["fingerprint"] for f in data["findings"]] == [
        f["fingerprint"] for f in report["findings"]
    ]
    assert [f["count"] for f in data["findings"]] == [f["count"] for f in report["findings"]]
    assert sorted(data["traces"]["id"]) == sorted(r["trace"] for r in of_type["trace_end"])
    assert len(data["changes"]["time"]) == len(of_type["change"]) > 0
    counts = collections.Counter(data["names"][i] for i in data["marks"]["fingerprint"])
    assert counts == {f["fingerprint"]: f["count"] for f in report["findings"]}
    assert set(data["left_out"].values()) == {0} and data["findings_left_out"] == 0
    first = min(utc_ns(r["first_push"]) for r in of_type["trace_end"])
    assert abs(int(data["base"]) - first) < 1_000_000
    assert len({data["threads"][6 * i + 4] for i in data["traces"]["thread"]}) == 2
    stack = of_type["finding"][0]["stack"]
    shown = [f"{f['file']}:{f['line']} in {f['function']}" for f in stack]
    assert pages.frames_of(data, data["findings"][0]["stack"]) == shown


def test_page_is_whole_in_itself(recorded):
    page = (recorded / "run/page.html").read_text()
    assert "http://" not in page and "https://" not in page
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    script = (pathlib.Path(__file__).parents[2] / "user/report/page/page.js").read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in script
    assert (recorded / "run/page.html").stat().st_mode & 0o777 == 0o600


def test_perfetto_is_on_the_clock_of_the_profiler(recorded):
    """The trace that torch.profiler has seen lies within its own slice."""
    trace, events = pages.perfetto_of(recorded / "run/trace.perfetto.json")
    profile = json.loads((recorded / "profile.json").read_text())
    assert trace["baseTimeNanoseconds"] == profile["baseTimeNanoseconds"]
    (around,) = [e for e in profile["traceEvents"] if e.get("name") == "around the trace"]
    traces = sorted((e for e in events["X"] if e["cat"] == "trace"), key=lambda e: e["ts"])
    assert len(traces) == 3
    second = traces[1]
    assert around["ts"] - 1000 < second["ts"]
    assert second["ts"] + second["dur"] < around["ts"] + around["dur"] + 1000
    assert traces[0]["ts"] + traces[0]["dur"] < around["ts"]


def test_perfetto_has_what_the_log_has(recorded):
    _, events = pages.perfetto_of(recorded / "run/trace.perfetto.json")
    records = logs.read(recorded / "run")
    offs = [e for e in events["X"] if e["cat"] == "grad"]
    assert len(offs) == sum(r["type"] == "change" and not r["to"] for r in records) == 3
    for off in offs:
        inside = [
            e
            for e in events["X"]
            if e["cat"] == "trace"
            and e["tid"] == off["tid"]
            and e["ts"] <= off["ts"]
            and off["ts"] + off["dur"] <= e["ts"] + e["dur"]
        ]
        assert len(inside) == 1
        assert re.search(r"profiled\.py:\d+ in forward$", off["args"]["at"])
    report = json.loads((recorded / "run/report.json").read_text())
    assert len(events["i"]) == sum(f["count"] for f in report["findings"])
    (first,) = [e for e in events["i"] if not e["args"]["again"]]
    finding = next(r for r in records if r["type"] == "finding")
    assert list(first["args"]["stack"].values()) == [
        f"{f['file']}:{f['line']} in {f['function']}" for f in finding["stack"]
    ]
    names = [e["args"]["name"] for e in events["M"] if e["name"] == "process_name"]
    assert len(names) == 1 and names[0].startswith("gradwatch: ")


def artifacts(log):
    """Names and payloads of a TORCH_TRACE log; each payload has the digest that is said."""
    found = []
    lines = log.read_text().split("\n")
    for at, line in enumerate(lines):
        if not re.match(r"[VIWEC]\d{4} ", line):
            continue
        record = json.loads(line[line.index("] {") + 2 :])
        rest = at + 1
        while rest < len(lines) and lines[rest].startswith("\t"):
            rest += 1
        payload = "\n".join(text[1:] for text in lines[at + 1 : rest])
        if "has_payload" in record:
            assert hashlib.md5(payload.encode()).hexdigest() == record["has_payload"]
        if "artifact" in record:
            found.append((record["artifact"]["name"], payload))
    return found


def test_torch_trace(binary, recorded, tmp_path):
    (log,) = (recorded / "torch").glob("*.log")
    before = log.read_bytes()
    folder = tmp_path / "torch"
    folder.mkdir()
    (folder / log.name).write_bytes(before)
    for _ in range(2):  # what is written is not read again
        result = run(binary, "report", "--torch-trace", folder, recorded / "run")
        assert result.returncode == 0, result.stderr
        assert sorted(path.name for path in folder.iterdir()) == [
            log.name,
            log.name.replace(".log", "_gradwatch.log"),
        ]
    assert (folder / log.name).read_bytes() == before
    copy = folder / log.name.replace(".log", "_gradwatch.log")
    assert copy.read_bytes().startswith(before)
    ours = [(name, text) for name, text in artifacts(copy) if name.startswith("gradwatch_")]
    assert len(ours) == 1
    finding = json.loads(ours[0][1])
    report = json.loads((recorded / "run/report.json").read_text())
    assert finding["fingerprint"] == report["findings"][0]["fingerprint"]
    (tmp_path / "none").mkdir()
    result = run(binary, "report", "--torch-trace", tmp_path / "none", recorded / "run")
    assert result.returncode == 2
    assert f"TORCH_TRACE={tmp_path / 'none'}" in result.stderr


def test_outputs_that_cannot_be_written(binary, recorded, tmp_path):
    log = recorded / "run"
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for option in ("--html", "--perfetto"):
        for path, fix in (
            (tmp_path / "no/page", "make its folder first"),
            (tmp_path / "folder", "remove it, or name another file"),
            (tmp_path / "link", "remove it, or name another file"),
            ("/dev/full", "remove it, or name another file"),
        ):
            result = run(binary, "report", option, path, log)
            assert result.returncode == 2, (option, path)
            assert str(path) in result.stderr and fix in result.stderr
    assert not (tmp_path / "elsewhere").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link"]


def test_full_disk_leaves_the_old_file(binary, recorded, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], check=True)
    try:
        (disk / "page.html").write_text("old")
        result = run(binary, "report", "--html", disk / "page.html", recorded / "run")
        assert result.returncode == 2
        assert "make room" in result.stderr
        assert [path.name for path in disk.iterdir()] == ["page.html"]
        assert (disk / "page.html").read_text() == "old"
    finally:
        subprocess.run(["umount", disk], check=True)


HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\u0007\"'<!--"


def test_hostile_names(binary, recorded, tmp_path):
    """As if the target had chosen all its names: they are data, and nothing else."""
    records = logs.events(recorded / "run")
    logs.write_events(tmp_path / "events", [logs.hostile(record, HOSTILE) for record in records])
    page, trace = tmp_path / "page.html", tmp_path / "trace.json"
    result = run(binary, "report", "--html", page, "--perfetto", trace, tmp_path / "events")
    assert result.returncode == 0, result.stderr
    shown = "</script><img src=x onerror=alert(1)>\\xe2\\x80\\xae\\x07\"'<!--"
    data = pages.data_of(page)
    assert data["findings"][0]["file"] == shown
    assert "onerror" not in page.read_text()
    plain = (recorded / "run/page.html").read_text()
    assert page.read_text().count("<") == plain.count("<")
    _, events = pages.perfetto_of(trace)
    assert shown in events["i"][0]["args"]["at"]
