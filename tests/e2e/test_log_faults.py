# SPDX-License-Identifier: GPL-2.0-or-later
"""A log on a disk that gets full, and on one that cannot read all of it."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import logs
import pytest
from processes import DEADLINE, TOTALS
from test_report import GOLDEN, json_of, run


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    size = "size=128k,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_writing_goes_on_after_a_full_disk(binary, any_target, small_disk, tmp_path):
    """It is full for a while: what was lost is told exactly, and the live answer is the log's."""
    log = small_disk / "log"
    command = any_target.command(tmp_path, "kinds.py", "toggling")
    with (tmp_path / "stderr").open("w") as stderr:
        monitor = subprocess.Popen(
            list(map(str, [binary, "--log", log, "--log-plain", "--", *command])), stderr=stderr
        )
    end = time.monotonic() + DEADLINE
    while shutil.disk_usage(small_disk).free and monitor.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert monitor.poll() is None, "the log is smaller than the disk"
    # More records than can be kept come; some of the disk is given back.
    time.sleep(1)
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    assert monitor.wait(DEADLINE) == 0
    records = logs.so_far(log)
    gaps = [record for record in records if record["type"] == "gap"]
    assert gaps and all("No space left" in gap["reason"] for gap in gaps)
    numbers = [record["seq"] for record in records]
    for gap in gaps:
        assert gap["count"] == sum(gap["types"].values())
        numbers += range(gap["first_seq"], gap["last_seq"] + 1)
    assert sorted(numbers) == list(range(len(numbers)))
    assert records[-1]["type"] == "close"
    assert run(binary, "verify", log).returncode == 0
    lost = sum(gap["count"] for gap in gaps)
    found = json_of(binary, log)
    assert f"records that could not be written: {lost}" in found["unknown"]
    text = run(binary, "report", log).stdout
    live = (tmp_path / "stderr").read_text()
    assert TOTALS.search(live)[0] == TOTALS.search(text)[0]
    assert "clean" not in text


def test_a_disk_that_cannot_read(binary, tmp_path):
    """An error of read(2): where it was is told, and the file and the next one are read on."""
    log, other = GOLDEN[0], GOLDEN[1]
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(log.read_bytes())
    inject = ["strace", "-f", "-o", tmp_path / "trace", "-P", copy]
    inject += ["-e", "inject=read:error=EIO:when=1"]
    result = run(*inject, binary, "report", "--json", copy, other)
    assert result.returncode == 0, result.stderr
    assert "(INJECTED)" in (tmp_path / "trace").read_text()
    assert re.search(rf"{copy}: byte 0: Input/output error \(4096 bytes\)", result.stderr)
    found = json.loads(result.stdout)
    whole = len(copy.read_bytes()[4096:].splitlines()) - 1 + len(other.read_bytes().splitlines())
    assert found["read"]["records"] == whole
    assert found["unknown"]
    assert run(*inject, binary, "verify", copy).returncode == 1


def test_what_must_not_be_read(binary):
    """A file, a folder, a folder above: each is told by its name, and the others are read."""
    with tempfile.TemporaryDirectory() as name:  # where others may go to
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "secret.jsonl").touch(0)
        for inner in ("closed", "above", "above/below"):
            (folder / inner).mkdir()
        (folder / "closed").chmod(0)
        (folder / "above").chmod(0)
        shutil.copy(GOLDEN[0], folder / "good.jsonl")
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        result = run(binary, "report", "--json", folder, folder / "above/below", **nobody)
        assert result.returncode == 0, result.stderr
        for bad in ("secret.jsonl", "closed", "above", "above/below"):
            assert f"{folder / bad}: byte 0: Permission denied" in result.stderr
        found = json.loads(result.stdout)
        assert found["read"]["records"] == len(GOLDEN[0].read_bytes().splitlines())
        assert "damaged or missing in the log: 4" in found["unknown"]
        assert run(binary, "report", folder / "none", **nobody).returncode == 2
