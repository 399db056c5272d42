# SPDX-License-Identifier: GPL-2.0-or-later
"""Files and processes over time: what is one file, what is given back, and what is tried again."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mapping import LIBRARY, LINGER, OURS, STANDIN, attached, call, descriptors, end
from processes import Process, Puppet
from targets import PROGRAMS, Target
from watching import links, wait_until

FILL_THE_RING = 50000  # forks, with the ends of the children, while nobody reads


@contextlib.contextmanager
def mounted(*command):
    folder = command[-1]
    subprocess.run(["mount", *map(str, command)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def containers(lower, tmp_path, count=2):
    """The same image several times, as containers have it: overlays with one lower folder."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mounted("-t", "tmpfs", "none", tmp_path))
        merged = []
        for number in range(count):
            layers = {name: tmp_path / f"{name}{number}" for name in ("upper", "work", "merged")}
            for layer in layers.values():
                layer.mkdir()
            options = "upperdir={upper},workdir={work}".format(**layers)
            options += f",lowerdir={lower}"
            merged.append(layers["merged"])
            stack.enter_context(mounted("-t", "overlay", "none", "-o", options, merged[-1]))
        yield merged


# --- one file ------------------------------------------------------------------------------------


def test_two_containers_of_one_image(any_target, gradwatch, tmp_path):
    """Real PyTorch twice: each call is counted once, and told with its own container's path."""
    with containers(any_target.directory, tmp_path) as roots:
        processes = []
        for number, root in enumerate(roots):
            (tmp_path / f"tmp{number}").mkdir()
            target = Target(any_target.name, root)
            processes.append(Puppet(target.command(tmp_path / f"tmp{number}", "puppet.py")))
        options = [text for process in processes for text in ("--pid", str(process.pid))]
        monitor = gradwatch(*options).armed()
        attached(monitor, *processes)
        probes = links(monitor)
        for process in processes:
            process.run("trace", "set 0", "set 1", "end")
        for process in processes:
            process.end()
        monitor.finish()
    for process in processes:
        own = [event for event in monitor.violations if event["pid"] == process.pid]
        assert [event["to"] for event in own] == [False, True]
    assert probes <= 4  # of one file
    assert monitor.end_event["ledger"]["reported"] == 4
    monitor.check_balance()


@pytest.mark.parametrize("way", ["overlay", "link", "bind", "touch"])
def test_one_file(mapper, gradwatch, tmp_path, way):
    """Whatever shows the file, its probes are placed once, and each call is counted once."""
    folder = tmp_path / "files"
    folder.mkdir()
    library = folder / "libc10.so"
    shutil.copyfile(LIBRARY, library)
    with contextlib.ExitStack() as stack:
        if way == "overlay":
            (tmp_path / "layers").mkdir()
            roots = stack.enter_context(containers(folder, tmp_path / "layers"))
            paths = [root / "libc10.so" for root in roots]
        else:
            paths = [library, folder / "c10-again.so"]
        if way == "link":
            paths[1].hardlink_to(library)
        elif way == "bind":
            paths[1].touch()
            stack.enter_context(mounted("--bind", library, paths[1]))
        elif way == "touch":
            paths[1] = library
        first = mapper(paths[0])
        monitor = gradwatch(*OURS).armed()
        attached(monitor, first)
        before = links(monitor)
        if way == "touch":
            os.utime(library, (1, 1))
        second = mapper(paths[1])
        attached(monitor, second)
        assert links(monitor) == before
        for process in (first, second):
            call(process)
        end(first, second)
        monitor.stop()
    told = [event for event in monitor.of_type("attached") if "c10" in event["torch"]["file"]]
    assert {event["pid"] for event in told} >= {first.pid, second.pid}
    assert monitor.ledger["hits"] == 20
    monitor.check_balance()


def test_two_files(mapper, gradwatch, tmp_path):
    """Copies with the same content, size and time are two files: each is told by its own path."""
    paths = [tmp_path / name / "libc10.so" for name in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        shutil.copyfile(LIBRARY, path)
        os.utime(path, (1, 1))
    processes = [mapper(path) for path in paths]
    options = [text for process in processes for text in ("--pid", str(process.pid))]
    monitor = gradwatch(*options).armed()
    attached(monitor, *processes)
    for process in processes:
        call(process)
    end(*processes)
    monitor.finish()
    told = {event["pid"]: event["torch"]["file"] for event in monitor.of_type("attached")}
    assert told == {process.pid: str(path) for process, path in zip(processes, paths)}
    assert monitor.ledger["hits"] == 20


def test_replaced_file(mapper, gradwatch, tmp_path):
    """An upgrade while processes run: both files are probed, and each process has its own."""
    library = tmp_path / "libc10.so"
    shutil.copyfile(LIBRARY, library)
    old = mapper(library)
    monitor = gradwatch(*OURS).armed()
    attached(monitor, old)
    shutil.copyfile(STANDIN / "pairs" / "libc10.so", tmp_path / "new")
    os.replace(tmp_path / "new", library)
    new = mapper(library)
    attached(monitor, new)
    for process in (old, new):
        call(process)
    end(old, new)
    monitor.stop()
    assert monitor.ledger["hits"] == 20
    assert not monitor.of_type("skipped")


def test_large_files_are_inspected_aside(puppet, gradwatch, shim):
    """A Python and a binding of up to 64 MB are not read where others wait."""
    process = puppet("--bare")
    monitor = gradwatch(
        "--pid", process.pid, "--on-violation", "raise", "--dry-run", env=shim("watch-loop")
    ).armed()
    process.tell("load")
    attached(monitor, process)
    process.tell("loop 1")
    assert "in the loop" not in monitor.stderr
    process.end()
    monitor.finish()
    assert [event["stack_status"] for event in monitor.violations] == ["whole"] * 2


# --- what ends -----------------------------------------------------------------------------------


def test_files_are_given_back(mapper, gradwatch, tmp_path):
    """
    300 files, more than are probed at any one time: every call is counted. When the processes have
    ended, gradwatch has as many descriptors, probes and about as much memory as before.
    """
    monitor = gradwatch(*OURS).armed()
    warm = mapper(LIBRARY)  # the programs stay loaded
    attached(monitor, warm)
    end(warm)
    wait_until(lambda: links(monitor) == 0, LINGER + 20)
    before, memory = descriptors(monitor), resident(monitor)
    for batch in range(10):
        processes = []
        for number in range(30):
            path = tmp_path / f"{batch}-{number}" / "libc10.so"
            path.parent.mkdir()
            shutil.copyfile(LIBRARY, path)
            processes.append(mapper(path))
        attached(monitor, *processes)
        for process in processes:
            call(process)
        end(*processes)
    wait_until(lambda: links(monitor) == 0, LINGER + 40)
    assert descriptors(monitor) <= before
    assert resident(monitor) <= memory + (2 << 20)
    monitor.stop()
    assert monitor.ledger["hits"] == 300 * 10
    assert not monitor.of_type("skipped")
    monitor.check_balance()


def resident(monitor):
    pages = int(Path(f"/proc/{monitor.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_exec(mapper, gradwatch, tmp_path, any_target):
    """A process that replaces its program lets go of what it mapped, and is met anew."""
    process = Puppet(any_target.command(tmp_path, "puppet.py"))
    monitor = gradwatch("--pid", process.pid).armed()
    process.run("trace", "set 0", "set 1", "end")
    process.send("exec")
    attached(monitor, process)
    monitor.wait_for(lambda event: event["type"] == "attached")
    assert process.answer() is not None
    process.run("trace", "set 0", "set 1", "end")
    process.end()
    monitor.finish()
    assert [event["to"] for event in monitor.violations] == [False, True] * 2


def test_child_outlives_its_parent(mapper, gradwatch, tmp_path):
    """A forked child maps nothing of its own: its library stays probed after its parent."""
    library = tmp_path / "libc10.so"
    shutil.copyfile(LIBRARY, library)
    program = f"""
import ctypes, os, sys, time
set_enabled = ctypes.CDLL({str(library)!r})._ZN3c108GradMode11set_enabledEb
if os.fork():
    print("parent", flush=True)
    sys.stdin.readline()
    os._exit(0)
time.sleep({LINGER} + 4)
for number in range(10):
    set_enabled(number & 1)
print("called", flush=True)
"""
    monitor = gradwatch(*OURS).armed()
    parent = Process([sys.executable, "-c", program])
    assert parent.line() == "parent", parent.stderr
    attached(monitor, parent)
    parent.send("")
    assert parent.line() == "called", parent.stderr
    monitor.stop()
    assert monitor.ledger["hits"] == 10


@pytest.mark.parametrize("children", [0, FILL_THE_RING])
def test_grandchild_outlives_all(gradwatch, tmp_path, children):
    """Known also where its parent had ended before its fork was read, or the fork was not told."""
    library, program = tmp_path / "libc10.so", tmp_path / "forks"
    shutil.copyfile(LIBRARY, library)
    subprocess.run(["gcc", "-O1", PROGRAMS / "forks.c", "-o", program, "-ldl"], check=True)
    monitor = gradwatch(*OURS).armed()
    process = Process([program, library, str(children), str(LINGER + 6)])
    assert process.line() == "mapped", process.stderr
    attached(monitor, process)
    monitor.signal(signal.SIGSTOP)
    process.send("")
    assert process.line() == "forked", process.stderr
    monitor.signal(signal.SIGCONT)
    assert process.line() == "called", process.stderr
    monitor.stop()
    assert monitor.ledger["hits"] == 10
    assert (monitor.end_event["counters"]["forks_lost"] > 0) is (children > 0)


@pytest.mark.parametrize("seed", range(2))
def test_processes_that_end_at_any_moment(mapper, gradwatch, tmp_path, seed):
    """Nothing of them stays, nothing is told twice, and the others lose nothing."""
    chance = random.Random(seed)
    library = tmp_path / "libc10.so"
    shutil.copyfile(LIBRARY, library)
    monitor = gradwatch(*OURS).armed()
    lasting = mapper(library)
    attached(monitor, lasting)
    before = links(monitor)
    for _ in range(40):
        process = mapper(library, pause=1000)
        time.sleep(chance.uniform(0, 0.05))
        process.signal(signal.SIGKILL)
        process.wait()
    call(lasting)
    assert links(monitor) == before
    end(lasting)
    monitor.stop()
    assert monitor.ledger["hits"] == 10
    pids = [event["pid"] for event in monitor.of_type("attached")]
    assert len(set(pids)) == len(pids)


# --- what is short -------------------------------------------------------------------------------


def test_tried_again(mapper, gradwatch, tmp_path):
    """Without descriptors a file cannot be probed: told once, and probed when there are some."""
    monitor = gradwatch(*OURS).armed()
    soft, hard = resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE, (descriptors(monitor) + 8, hard))
    library = tmp_path / "libc10.so"
    shutil.copyfile(LIBRARY, library)
    process = mapper(library)
    monitor.wait_for(lambda event: event["type"] == "skipped" and event["pid"] == process.pid)
    time.sleep(5)
    resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE, (soft, hard))
    attached(monitor, process)
    call(process)
    end(process)
    monitor.stop()
    (skipped,) = [event for event in monitor.of_type("skipped") if event["pid"] == process.pid]
    assert "too few descriptors are left; raise the hard limit" in skipped["reason"]
    assert monitor.ledger["hits"] == 10


def test_low_hard_limit(mapper, gradwatch, tmp_path):
    """It is told at the start what a hard limit of 64 descriptors leads to."""
    process = mapper(LIBRARY)
    low = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))  # noqa: E731
    monitor = gradwatch("--pid", process.pid, preexec_fn=low).armed()
    end(process)
    monitor.finish()
    assert "at most 64 descriptors are allowed" in monitor.stderr
    (skipped,) = monitor.of_type("skipped")
    assert "too few descriptors are left" in skipped["reason"]


def test_share_of_a_user(mapper, gradwatch, tmp_path):
    """600 memory files of nobody, with names like libtorch's, leave room for those of others."""
    program = """
import ctypes, mmap, os, sys
held = []
for number in range(600):
    fd = os.memfd_create(f"c10_{number}")
    os.write(fd, b"x")
    held.append(mmap.mmap(fd, 1, prot=mmap.PROT_READ | mmap.PROT_EXEC))
    os.close(fd)
print("mapped", flush=True)
sys.stdin.readline()
"""
    monitor = gradwatch(*OURS).armed()
    crowd = []
    for _ in range(4):
        crowd.append(Process(["/usr/bin/python3", "-c", program], user=65534, group=65534))
        assert crowd[-1].line() == "mapped", crowd[-1].stderr
    library = tmp_path / "libc10.so"
    shutil.copyfile(LIBRARY, library)
    process = mapper(library)
    attached(monitor, process)
    call(process)
    end(process, *crowd)
    monitor.stop()
    assert monitor.ledger["hits"] == 10


def test_lease(mapper, gradwatch, tmp_path):
    """A lease on a file that its owner maps holds up nobody: open(2) would wait for 45 s."""
    file = tmp_path / "c10-leased.so"
    shutil.copyfile(LIBRARY, file)
    program = f"""
import fcntl, mmap, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open({str(file)!r}, os.O_RDONLY)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)  # refused once somebody else has it open
held = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
print("mapped", flush=True)
sys.stdin.readline()
"""
    monitor = gradwatch(*OURS).armed()
    owner = Process([sys.executable, "-c", program])
    assert owner.line() == "mapped", owner.stderr
    began = time.monotonic()
    process = mapper(LIBRARY)
    attached(monitor, process)
    call(process)
    end(process, owner)
    monitor.stop()
    assert time.monotonic() - began < 30
    assert monitor.ledger["hits"] == 10


def test_exec_of_the_same_library(gradwatch, tmp_path):
    """A process that maps its library again after an exec stays watched."""
    library = tmp_path / "libc10.so"
    shutil.copyfile(LIBRARY, library)
    source = tmp_path / "again.py"
    source.write_text(f"""
import ctypes, os, sys
again = len(sys.argv) > 1
set_enabled = ctypes.CDLL({str(library)!r})._ZN3c108GradMode11set_enabledEb
print("again" if again else "first", flush=True)
sys.stdin.buffer.raw.read(1)
if not again:
    os.execv(sys.executable, [sys.executable, __file__, "again"])
for number in range(10):
    set_enabled(number & 1)
print("called", flush=True)
""")
    monitor = gradwatch(*OURS).armed()
    process = Process([sys.executable, str(source)])
    assert process.line() == "first", process.stderr
    attached(monitor, process)
    process.send("")
    assert process.line() == "again", process.stderr
    time.sleep(LINGER + 4)
    process.send("")
    assert process.line() == "called", process.stderr
    monitor.stop()
    assert monitor.ledger["hits"] == 10


def test_short_subprocesses(gradwatch, tmp_path):
    """What a PyTorch process runs for a moment has mapped no libtorch: nothing was missed."""
    program = f"""
import ctypes, subprocess, time
ctypes.CDLL({str(LIBRARY)!r})
for number in range(40):
    subprocess.run(["/bin/true"], check=True)
time.sleep(1)
"""
    monitor = gradwatch("--fail", "--follow", "--", sys.executable, "-c", program)
    monitor.finish()
    assert monitor.status == 0, monitor.stderr
    assert len(monitor.of_type("attached")) == 1
