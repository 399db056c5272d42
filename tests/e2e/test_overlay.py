# SPDX-License-Identifier: GPL-2.0-or-later
"""A library on an overlay, as in containers, that is copied up or rewritten under the probes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import Process

STANDIN = Path(os.environ.get("GRADWATCH_STANDIN", "/nonexistent"))
DRIVER = Path(__file__).resolve().parent.parent / "standin" / "driver.py"


@pytest.fixture
def library(tmp_path):
    """The stand-in in the lower layer. On a tmpfs: an overlay cannot be the upper layer of one."""
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    layers = {name: tmp_path / name for name in ("lower", "upper", "work", "merged")}
    for layer in layers.values():
        layer.mkdir()
    shutil.copyfile(STANDIN / "keyed" / "libc10.so", layers["lower"] / "libc10.so")
    options = "lowerdir={lower},upperdir={upper},workdir={work}".format(**layers)
    subprocess.run(["mount", "-t", "overlay", "none", "-o", options, layers["merged"]], check=True)
    yield layers["merged"] / "libc10.so"
    subprocess.run(["umount", "--lazy", layers["merged"], tmp_path], check=True)


class Driver(Process):
    """tests/standin/driver.py with a library of its own."""

    def __init__(self, library):
        super().__init__([sys.executable, str(DRIVER), str(library)])
        assert '"ready"' in (self.line() or ""), self.stderr

    def change_twice(self):
        """In a trace: two violations, as the library itself says."""
        for command in ("push", "set 0", "set 1", "pop"):
            self.send(command)
        lines = []
        while not (lines and '"pop"' in lines[-1]):
            lines.append(self.line())
            assert lines[-1] is not None, self.stderr
        assert sum('"violation": true' in line for line in lines) == 2

    def end(self):
        self.close_stdin()
        assert self.wait() == 0, self.stderr


def seen(monitor, driver):
    monitor.wait_for(lambda event: event["type"] == "change" and event["pid"] == driver.pid, 2)


def attached(monitor, driver):
    monitor.wait_for(lambda event: event["type"] == "attached" and event["pid"] == driver.pid)


def copied_up(library):
    """What chmod does, or to open it for writing."""
    before = library.stat().st_mtime_ns
    library.chmod(0o755)
    assert (library.parent.parent / "upper" / "libc10.so").exists()
    assert library.stat().st_mtime_ns == before


def test_copied_up_before(library, gradwatch):
    """
    A process has the file of the lower layer, though its path leads to the upper one: it cannot be
    watched, which is told; one that has the upper file is.
    """
    old = Driver(library)
    copied_up(library)
    new = Driver(library)
    monitor = gradwatch("--pid", old.pid, "--pid", new.pid, "--fail-on", "unknown").armed()
    old.change_twice()
    new.change_twice()
    seen(monitor, new)
    for driver in (old, new):
        driver.end()
    monitor.finish()
    assert monitor.status == 3 and "skipped" in monitor.stderr
    (skipped,) = monitor.of_type("skipped")
    assert skipped["pid"] == old.pid and "its path no longer leads to" in skipped["reason"]
    assert len(monitor.violations) == 2


def test_copied_up_under_the_probes(library, gradwatch):
    """The process goes on to be watched, and one that maps the copy is watched as well."""
    old = Driver(library)
    monitor = gradwatch("--all").armed()
    old.change_twice()
    seen(monitor, old)
    copied_up(library)
    old.change_twice()
    monitor.wait_for(lambda event: event["type"] == "change" and event["pid"] == old.pid, 4)
    drivers = [old]
    for _ in range(2):
        new = Driver(library)
        drivers.append(new)
        attached(monitor, new)
        new.change_twice()
        seen(monitor, new)
        new.end()
    old.end()
    monitor.stop()
    # Of --all only what is this test's.
    pids = [driver.pid for driver in drivers]
    assert [sum(event["pid"] == pid for event in monitor.violations) for pid in pids] == [4, 2, 2]
    assert not [event for event in monitor.of_type("skipped") if event["pid"] in pids]


def test_rewritten_under_the_probes(library, gradwatch):
    """
    The process has the old file still, and goes on; that its library was written to is told. The
    new code is inspected and probed as a new file.
    """
    old = Driver(library)
    monitor = gradwatch("--all").armed()
    old.change_twice()
    seen(monitor, old)
    shutil.copyfile(STANDIN / "pairs" / "libc10.so", library)  # in place, as cp does
    old.change_twice()
    new = Driver(library)
    attached(monitor, new)
    new.change_twice()
    seen(monitor, new)
    for driver in (old, new):
        driver.end()
    monitor.stop()
    told = monitor.of_type("skipped")
    (skipped,) = [event for event in told if event["torch"]["file"] == str(library)]
    assert skipped["reason"] == "the file was rewritten while it was probed"
