# SPDX-License-Identifier: GPL-2.0-or-later
"""The same log gives the same counts in `gradwatch report`, in DuckDB and in plain Python.

`make check-log-peers`; not in `make check`, as DuckDB's wheel has to be there. Needs no root.
"""

import json
import os
import pathlib
import subprocess
import sys

import duckdb
import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "e2e"))

import logs  # noqa: E402

GOLDEN = sorted((REPO / "tests" / "logs").glob("*.jsonl"))
BUILD = pathlib.Path(os.environ.get("GRADWATCH_BUILD") or REPO / "build")

COLUMNS = {
    "type": "VARCHAR",
    "run_id": "VARCHAR",
    "pid": "UBIGINT",
    "start_ns": "UBIGINT",
    "finding": "UBIGINT",
    "count": "UBIGINT",
    "fingerprint": "VARCHAR",
    "info": "BOOLEAN",
}

# A segment's records are of the run that its header names.
RECORDS = """
create or replace temp view raw as
select * from read_json($files, format = 'newline_delimited', records = true, filename = true,
                        columns = $columns);
create or replace temp view record as
select raw.* exclude (run_id), header.run_id from raw
join (select filename, run_id from raw where type = 'header') header using (filename)
"""

TOTALS = """
select count(*) records, count(*) filter (type = 'change' and not info) violations,
       count(*) filter (type = 'change' and info) infos,
       count(*) filter (type = 'trace_begin') traces
from record
"""

FINDINGS = """
with finding as (
    select run_id, finding, any_value(fingerprint) fingerprint,
           any_value((run_id, pid, start_ns)) process
    from record where type = 'finding' group by all),
times as (
    select run_id, finding, max("count") times
    from record where type in ('finding', 'again', 'repeated') group by all)
select fingerprint, sum(times), count(distinct process)
from times join finding using (run_id, finding) group by all
"""


def of_duckdb(files):
    database = duckdb.connect()
    names = "[" + ", ".join(f"'{file}'" for file in files) + "]"
    columns = "{" + ", ".join(f"'{key}': '{kind}'" for key, kind in COLUMNS.items()) + "}"
    database.sql("set enable_progress_bar = false")
    for statement in RECORDS.replace("$files", names).replace("$columns", columns).split(";"):
        database.execute(statement)
    totals = database.sql(TOTALS)
    found = dict(zip(totals.columns, totals.fetchall()[0], strict=True))
    found["findings"] = {
        fingerprint: {"count": count, "processes": processes}
        for fingerprint, count, processes in database.sql(FINDINGS).fetchall()
    }
    return found


def of_report(path):
    result = subprocess.run(
        [BUILD / "gradwatch", "report", "--json", path], capture_output=True, text=True, check=True
    )
    return logs.report(json.loads(result.stdout))


def of_python(files):
    runs = {}
    for file in files:
        records, damaged = logs.records_of(logs.data_of(file))
        assert not damaged
        runs.setdefault(records[0]["run_id"], []).extend(records)
    return logs.counts(runs.values())


def check(folder):
    files = logs.segments(folder)
    expected = of_python(files)
    assert expected["findings"]
    assert of_duckdb(files) == expected
    assert of_report(folder) == expected


def compress(folder):
    for file in folder.glob("*.jsonl"):
        subprocess.run(["zstd", "-q", "--rm", file], check=True)


@pytest.mark.parametrize("log", GOLDEN, ids=lambda log: log.stem)
def test_of_a_real_run(log, tmp_path):
    (tmp_path / log.name).write_bytes(log.read_bytes())
    check(tmp_path)
    compress(tmp_path)
    check(tmp_path)


def test_of_several_runs(tmp_path):
    for log in GOLDEN:
        (tmp_path / log.name).write_bytes(log.read_bytes())
    compress(tmp_path)
    check(tmp_path)


def test_of_many_segments(tmp_path):
    """More processes, findings that come again, and segments of which some are compressed."""
    log = tmp_path / "log"
    program = [BUILD / "bench" / "make_log", log, str(20 << 20), GOLDEN[0]]
    subprocess.run(program, check=True)
    first, *others = logs.segments(log)
    assert others
    subprocess.run(["zstd", "-q", "--rm", first], check=True)
    check(log)
