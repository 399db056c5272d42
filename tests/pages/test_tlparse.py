# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs of TORCH_TRACE with findings, in tlparse, strictly."""

import json
import pathlib
import subprocess
import sys

from conftest import LOG, gradwatch

NAME = "dedicated_log_torch_trace_abc"
THEIRS = """V1126 16:39:13.603000 {pid} torch/_logging/_internal.py:1328] {{"artifact": {{"name": \
"torch_version", "encoding": "string"}}, "has_payload": "f97c5d29941bfb1b2fdab0874906ab82"}}
\tone
"""


def test_tlparse(records, tmp_path):
    finding = next(record for record in records if record["type"] == "finding")
    folder = tmp_path / "torch"
    folder.mkdir()
    (folder / f"{NAME}.log").write_text(THEIRS.format(pid=finding["ns_pid"]))
    gradwatch("report", "--torch-trace", folder, LOG)
    tlparse = pathlib.Path(sys.executable).parent / "tlparse"
    result = subprocess.run(
        [
            tlparse,
            folder / f"{NAME}_gradwatch.log",
            "-o",
            tmp_path / "out",
            "--no-browser",
            "--strict",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert "ok: 4" in result.stderr + result.stdout and "fail" not in result.stderr
    found = list((tmp_path / "out").rglob("gradwatch_*.json"))
    prints = {json.loads(path.read_text())["fingerprint"] for path in found}
    assert prints == {r["fingerprint"] for r in records if r["type"] == "finding"}
