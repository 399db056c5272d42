# SPDX-License-Identifier: GPL-2.0-or-later
"""The questions of tools/fleet have the same answers on each engine, to the last digit: DuckDB,
ClickHouse (its engine in chdb) over the segments and over an OpenTelemetry Collector's table, and
Spark on two workers of which one is killed; they are those that plain Python counts (oracle.py),
and for findings those of `gradwatch report`.

`make check-fleet-sql`; needs no root.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
TOOLS = REPO / "tools" / "fleet"
BUILD = pathlib.Path(os.environ.get("GRADWATCH_BUILD") or REPO / "build")
sys.path.insert(0, str(TOOLS))

import engine_clickhouse  # noqa: E402
import engine_spark  # noqa: E402
import fleet  # noqa: E402
import generate  # noqa: E402
import oracle  # noqa: E402
import otel  # noqa: E402

RECORDS = int(os.environ.get("GRADWATCH_FLEET_RECORDS") or 200_000)
SINCE = "2026-11-26"  # late nodes are silent then
DEADLINE = 300


class Fleet:
    def __init__(self, folder):
        generate.fleet(folder / "made", 1000, RECORDS, seed=1)
        # Names of folders say nothing of the records in them, whatever engines make of such names.
        self.log = folder / "log"
        (self.log / "host=other").mkdir(parents=True)
        (folder / "made" / "log").rename(self.log / "host=other" / "run_id=0")
        self.nodes = folder / "made" / "nodes.txt"
        self.hosts = fleet.hosts_of(self.nodes)
        self.expected = {
            since: oracle.answers(self.log, self.hosts, since) for since in ("", SINCE)
        }


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    return Fleet(tmp_path_factory.mktemp("fleet"))


def answer_of(engine, hosts, since=""):
    fleet.prepare(engine, hosts, since)
    return json.loads(json.dumps(fleet.as_json(fleet.ask_all(engine))))


def check(found, expected):
    assert list(found) == list(expected)
    for question, rows in expected.items():
        assert found[question] == rows, question


def run(*arguments):
    command = list(map(str, [sys.executable, TOOLS / "fleet.py", *arguments]))
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)


def test_fleet_has_all_of_it(small):
    """What is generated does put the questions to the test."""
    facts = small.expected[""]["stands-on"]
    assert facts["expected"] == 1000 and facts["reported"] == 988 and facts["silent"] == 12
    assert small.expected[SINCE]["stands-on"]["silent"] > 12
    assert all(facts.values()), facts
    rows = small.expected[""]
    assert len(rows["by-line"]) > 50 and len(rows["by-container"]) > 100
    assert {row["severity"] for row in rows["by-line"]} >= {"violation", "note", "info"}
    assert {row["runtime"] for row in rows["by-container"]} == {
        "containerd",
        "podman",
        "systemd",
        "-",
    }


@pytest.mark.parametrize("since", ["", SINCE], ids=["all", "since"])
def test_duckdb(small, since):
    result = run("--json", "--nodes", small.nodes, "--since", since, small.log)
    assert result.returncode == 0, result.stderr
    check(json.loads(result.stdout), small.expected[since])


@pytest.mark.parametrize("since", ["", SINCE], ids=["all", "since"])
def test_clickhouse(small, since):
    engine = engine_clickhouse.Engine([small.log], fleet.segments([small.log]))
    check(answer_of(engine, small.hosts, since), small.expected[since])
    engine.close()


def test_table_of_the_collector(small, tmp_path):
    engine = engine_clickhouse.Engine()
    otel.fill(engine.session, small.log, tmp_path / "rows.json")
    engine.read_otel_logs("otel_logs")
    check(answer_of(engine, small.hosts), small.expected[""])
    engine.close()


def test_report_of_gradwatch(small):
    """Findings, how often, in how many processes, first and last seen; what was lost."""
    result = subprocess.run(
        [BUILD / "gradwatch", "report", "--json", small.log], capture_output=True, check=True
    )
    found = json.loads(result.stdout)
    same = {"times": "count", "first_seen": "first", "last_seen": "last"}
    keys = ("severity", "fingerprint", "kind", "category", "processes")
    assert {tuple(one[key] for key in (*keys, *same.values())) for one in found["findings"]} == {
        tuple(one[key] for key in (*keys, *same)) for one in small.expected[""]["by-line"]
    }
    facts = small.expected[""]["stands-on"]
    for key in ("records", "duplicates", "runs", "skipped"):
        assert found["read"][key] == facts[key], key
    assert found["read"]["runs_without_end"] == facts["open_runs"]


@pytest.fixture
def cluster(tmp_path):
    """The address of a Spark cluster, and the folder with the pids of its master and workers."""
    folder = tmp_path / "spark"
    script = TOOLS / "spark.sh"
    result = subprocess.run(
        [script, "start", folder, sys.executable],
        stdout=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
    )
    assert result.returncode == 0
    yield result.stdout.strip(), folder
    subprocess.run([script, "stop", folder], check=True)


def executors(engine):
    """How many there are, without the driver."""
    return len(engine.spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()) - 1


def wait_until(condition, worker):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert worker is None or worker.is_alive(), "the query is over"
        assert time.monotonic() < end
        time.sleep(0.01)


def is_under_way(engine):
    """Some tasks of a stage are done, others run."""
    tracker = engine.spark.sparkContext.statusTracker()
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    return any(stage and stage.numCompletedTasks and stage.numActiveTasks for stage in stages)


def test_spark_loses_a_worker(small, cluster):
    """The answer is there in spite of it, and is the same."""
    address, folder = cluster
    settings = {
        "spark.executor.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "8",
    }
    engine = engine_spark.Engine(fleet.segments([small.log]), address, settings)
    wait_until(lambda: executors(engine) == 2, None)
    found = {}

    def ask():
        found.update(answer_of(engine, small.hosts))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: is_under_way(engine), thread)
    # The worker and its executor: as if the machine had gone.
    os.killpg(int((folder / "worker1.pid").read_text()), signal.SIGKILL)
    (folder / "worker1.pid").unlink()
    assert thread.is_alive() and not found
    thread.join(DEADLINE)
    assert executors(engine) == 1
    engine.close()
    check(found, small.expected[""])


def test_text(small):
    result = run("--nodes", small.nodes, "--limit", 3, "--question", "by-line", small.log)
    assert result.returncode == 0 and not result.stderr
    lines = result.stdout.splitlines()
    worst = small.expected[""]["by-line"][0]
    facts = small.expected[""]["stands-on"]
    assert lines[0] == "Which lines made wrong graphs?"
    assert lines[2].split()[:2] == [worst["severity"], worst["fingerprint"]]
    assert f"{worst['times']:,}" in lines[2].split()
    assert lines[5] == f"  and {len(small.expected['']['by-line']) - 3} more"
    basis = f"  stands on: 988 of 1,000 nodes, 12 silent, {facts['gaps']} gaps ("
    assert lines[6].startswith(basis)


def test_nothing_found_is_not_everything_well(tmp_path):
    """No list of nodes: the answer says that it is not known what is missing."""
    name = {"v": 2, "type": "start", "time": "2026-01-01T00:00:00.000000000Z", "host": "a'b\\"}
    records = [{**name, "run_id": "1", "boot_id": "2", "seq": seq} for seq in (0, 2)]
    # One of an older gradwatch, which says nothing of its run.
    lines = [json.dumps(record) for record in [*records, {**name, "seq": 3}]]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    result = run(tmp_path)
    assert result.returncode == 0, result.stderr
    (basis,) = {line for line in result.stdout.splitlines() if "stands on" in line}
    assert basis == (
        "  stands on: 1 node, not known how many there should be, 1 gap (1 record on 1 node), "
        "1 line that is no whole record"
    )
    (tmp_path / "nodes").write_text("a'b\\\nquiet\n")
    result = run("--nodes", tmp_path / "nodes", "--question", "nodes", tmp_path)
    assert "1 of 2 nodes, 1 silent, 1 gap" in result.stdout


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere"], "nowhere: there is no such file or folder"),
        (["empty"], "empty: no segments in there"),
        (["--nodes", "nowhere", "cut"], "nowhere: No such file or directory"),
        (["cut"], "no whole record in 1 segment: see gradwatch verify"),
    ],
    ids=["no folder", "empty folder", "no list of nodes", "cut off"],
)
def test_messages(tmp_path, arguments, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut").mkdir()
    source = (REPO / "tests" / "logs" / "kinds-2.13.jsonl").read_bytes()
    whole = subprocess.run(["zstd", "-qc"], input=source, capture_output=True).stdout
    (tmp_path / "cut" / "x.jsonl.zst").write_bytes(whole[: len(whole) // 2])
    names = [word if word.startswith("--") else tmp_path / word for word in arguments]
    result = run(*names)
    assert result.returncode == 1 and not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("fleet: error: ") and words in line, line
