# SPDX-License-Identifier: GPL-2.0-or-later
"""
What older kernels lack, on this one (tests/programs/kernel_shim.c): perf events in place of
uprobe_multi, and programs for each file where they are not told which file was hit.
"""

import contextlib
import os
import shutil

import pytest
from mapping import LIBRARY, LINGER, OURS, attached, call, descriptors, end
from watching import wait_until

WAYS = {"uprobe_multi": (), "links": ("no-multi",), "events": ("no-multi", "no-cookies")}
MOST_DESCRIPTORS = {"uprobe_multi": 2, "links": 10, "events": 10}  # of a file


def copies(folder, count, source=LIBRARY):
    paths = [folder / str(number) / "libc10.so" for number in range(count)]
    for path in paths:
        path.parent.mkdir()
        shutil.copyfile(source, path)
    return paths


def uprobes(monitor):
    """Links and perf events, among them some that are always there."""
    found = 0
    for entry in os.scandir(f"/proc/{monitor.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(entry.path) in (
                "anon_inode:bpf_link",
                "anon_inode:bpf-link",
                "anon_inode:[perf_event]",
            )
    return found


@pytest.mark.parametrize("way", WAYS)
def test_descriptors_of_a_file(mapper, gradwatch, shim, tmp_path, way):
    """And all of them are given back."""
    paths = copies(tmp_path, 11)
    monitor = gradwatch(*OURS, env=shim(*WAYS[way])).armed()
    first = mapper(paths[0])
    attached(monitor, first)
    before = descriptors(monitor)
    processes = [mapper(path) for path in paths[1:]]
    attached(monitor, *processes)
    taken = descriptors(monitor) - before
    assert taken <= 10 * MOST_DESCRIPTORS[way], taken / 10
    for process in processes:
        call(process)
    end(*processes)
    wait_until(lambda: descriptors(monitor) <= before, LINGER + 60)
    call(first)
    end(first)
    monitor.stop()
    assert monitor.ledger["hits"] == 110


@pytest.mark.parametrize("way", WAYS)
def test_the_loop_does_not_wait_for_uprobes(mapper, gradwatch, shim, tmp_path, way):
    """
    To remove a perf event's takes some 0.2 s with a lock that placing takes as well: another thread
    does both, also where a file is forgotten, rewritten or cannot be probed.
    """
    paths = copies(tmp_path, 4)
    monitor = gradwatch(*OURS, env=shim(*WAYS[way], "watch-loop")).armed()
    before = uprobes(monitor)
    processes = [mapper(path) for path in paths]
    attached(monitor, *processes)
    with paths[0].open("r+b") as file:
        file.write(b"\x7f")
    skipped = monitor.wait_for("skipped")
    assert skipped["reason"] == "the file was rewritten while it was probed"
    end(*processes)
    wait_until(lambda: uprobes(monitor) == before, LINGER + 60)
    (tmp_path / "again").mkdir()
    again = mapper(copies(tmp_path / "again", 1)[0])
    attached(monitor, again)
    call(again)
    assert "in the loop" not in monitor.stderr
    end(again)
    monitor.stop()
    assert monitor.ledger["hits"] == 10


def test_half_placed(mapper, gradwatch, shim, tmp_path):
    """What was placed of a file that cannot be probed whole is removed; it is tried again."""
    first, second = copies(tmp_path, 2)
    monitor = gradwatch(*OURS, env=shim("watch-loop", "short-5")).armed()
    known = mapper(first)  # the plan is loaded
    attached(monitor, known)
    before = descriptors(monitor)
    process = mapper(second)
    skipped = monitor.wait_for("skipped")
    assert "Too many open files" in skipped["reason"]
    attached(monitor, process)
    assert descriptors(monitor) <= before + MOST_DESCRIPTORS["uprobe_multi"]
    call(process)
    assert "in the loop" not in monitor.stderr
    end(known, process)
    monitor.stop()
    assert monitor.ledger["hits"] == 10
