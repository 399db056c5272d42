# SPDX-License-Identifier: GPL-2.0-or-later
"""The ends of gradwatch, and of the files that it watches."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mapping import MAP_FILES
from processes import Process, Puppet
from watching import CHANGES_OF_SMALL, OPERATORS_OF_SMALL, verdicts, wait_until


@pytest.mark.parametrize("fail", [True, False])
@pytest.mark.parametrize("violating", [True, False])
def test_status_with_fail(puppet, gradwatch, fail, violating):
    process = puppet()
    monitor = gradwatch("--pid", process.pid, *(["--fail"] if fail else [])).armed()
    process.run("trace", f"set {0 if violating else 1}", "end", "set 1")
    process.end()
    assert monitor.finish().status == (3 if fail and violating else 0)


def test_no_drift_while_it_detaches(puppet, gradwatch):
    """The probes go one by one, in the midst of traces that change the mode by the setter."""
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    process.send("loop 100000 keep")
    monitor.wait_for("change", count=20)
    monitor.stop()
    assert {event["category"] for event in monitor.of_type("finding")} == {"scope"}
    assert monitor.end_event["drifts"] == 0
    assert process.alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(puppet, gradwatch, number):
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    process.tell("loop 1")
    monitor.stop(number)
    assert monitor.status == 0
    assert len(monitor.violations) == CHANGES_OF_SMALL
    assert process.tell("loop 1")["operators"] == [OPERATORS_OF_SMALL]
    process.end()


def probes_of(pid):
    """The ids of the BPF programs and links that the process holds."""
    ids = set()
    for entry in os.scandir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), open(entry.path, encoding="ascii") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name in ("prog_id", "link_id"):
                    ids.add((name, int(value)))
    return ids


def existing(kind):
    tool = "/usr/sbin/bpftool"
    listed = subprocess.run([tool, "-j", kind, "list"], capture_output=True, check=True, timeout=60)
    return {(f"{kind}_id", item["id"]) for item in json.loads(listed.stdout or "[]")}


def test_killed_gradwatch_leaves_nothing_behind(target, puppet, gradwatch):
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "set 0")
    monitor.wait_for("change")
    held = probes_of(monitor.pid)
    assert len({name for name, _ in held}) == 2
    monitor.signal(signal.SIGKILL)
    monitor.wait()
    wait_until(lambda: not held & (existing("prog") | existing("link")))
    process.tell("set 1")
    again = gradwatch("--pid", process.pid).armed()
    process.run("set 0", "end", "set 1")
    again.stop()
    assert verdicts(again.violations) == [(True, False)]
    process.end()


def test_killed_gradwatch_and_its_command(gradwatch, tmp_path):
    """A command that was not let go yet must not start; one that runs goes on."""
    monitor = gradwatch("--", "sh", "-c", "echo $$; read line; echo on", stdin=subprocess.PIPE)
    monitor.wait_for("start")
    child = int(monitor.line())
    monitor.signal(signal.SIGKILL)
    monitor.popen.wait()
    assert os.path.exists(f"/proc/{child}")
    monitor.send("go on")
    assert monitor.line() == "on"


def run_copy(target, tmp_path, change):
    """A puppet with a libc10.so that is changed on disk while it is mapped, for its life."""
    copy = tmp_path / "libc10.so"
    inside = target.path(copy)
    copy.write_bytes(target.libc10().read_bytes())
    argv = target.command(tmp_path, "puppet.py")
    # The loader takes the copy for the library, since it has its name.
    process = Puppet(argv, env={**os.environ, "LD_PRELOAD": inside})
    assert inside in Path(f"/proc/{process.pid}/maps").read_text()
    change(copy)
    return process


def delete(path):
    path.unlink()


def replace(path):
    path.unlink()
    path.write_bytes(b"not a library at all")


@pytest.mark.parametrize("change", [delete, replace])
def test_library_changed_on_disk(any_target, gradwatch, tmp_path, change):
    if any_target.in_root:
        pytest.skip("the shell between would load the library, too")
    process = run_copy(any_target, tmp_path, change)
    monitor = gradwatch("--pid", process.pid).armed()
    process.tell("loop 1")
    monitor.wait_for("change", CHANGES_OF_SMALL)
    monitor.stop()
    assert all(event["certain"] for event in monitor.violations)
    process.end()


def test_library_in_another_root(target, puppet, gradwatch):
    """Found through the process's own mapping: the path leads elsewhere from here."""
    process = puppet(on=target)
    monitor = gradwatch("--pid", process.pid).armed()
    process.tell("loop 1")
    monitor.stop()
    (attached,) = monitor.of_type("attached")
    assert attached["torch"]["file"].rsplit("/", 1)[1].startswith("libc10.so")
    assert attached["torch"]["version"].startswith(".".join(map(str, target.version[:2])))
    assert len(monitor.violations) == CHANGES_OF_SMALL
    process.end()


# --- while it arms -------------------------------------------------------------------------------

MAPPERS, COPIES = 25, 16  # each process maps so many files


@pytest.fixture
def crowd(tmp_path):
    """Processes with so many libraries that to arm them takes seconds with the shim; their pids."""
    library = Path(os.environ["GRADWATCH_STANDIN"]) / "keyed" / "libc10.so"
    mappers = []
    for number in range(MAPPERS):
        copies = [tmp_path / f"{number}.{copy}.libc10.so" for copy in range(COPIES)]
        for copy in copies:
            shutil.copyfile(library, copy)
        mappers.append(Process([sys.executable, "-S", "-c", MAP_FILES, *map(str, copies)]))
    for mapper in mappers:
        assert mapper.line() == "up", mapper.stderr
    return [mapper.pid for mapper in mappers]


def watching(pids):
    return [argument for pid in pids for argument in ("--pid", pid)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_it_arms(crowd, gradwatch, shim, number):
    """It ends there and then, with its totals; what it has placed by then is gone."""
    monitor = gradwatch(*watching(crowd), env=shim("slow"))
    monitor.wait_for("attached")
    held = probes_of(monitor.pid)
    monitor.stop(number)
    assert not monitor.of_type("start") and len(monitor.of_type("end")) == 1
    assert len(monitor.of_type("attached")) < MAPPERS * COPIES
    assert monitor.status == 0
    wait_until(lambda: not held & (existing("prog") | existing("link")))


def test_unfinished_arming_is_not_success(crowd, gradwatch, shim):
    monitor = gradwatch(*watching(crowd), "--fail", env=shim("slow"))
    monitor.wait_for("attached")
    monitor.stop()
    assert monitor.status == 3
    assert "it ended before all that was mapped at the start was probed" in monitor.stderr
