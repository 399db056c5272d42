# SPDX-License-Identifier: GPL-2.0-or-later
"""C libraries other than glibc: what is said of the thread's state is not certain then."""

import subprocess

import pytest
import targets
from processes import Process

TESTS = targets.REPO / "tests"


def build(folder, compiler, library_flags):
    """The program and its libc10.so."""
    library, program = folder / "libc10.so", folder / "program"
    source = TESTS / "fuzz" / "libc10.c"
    flags = ["-shared", "-fPIC", "-O2", "-DKEYED", "-DGUARDED", *library_flags]
    subprocess.run([compiler, *flags, source, "-o", library], check=True)
    source = TESTS / "programs" / "musl.c"
    subprocess.run([compiler, source, "-o", program, "-ldl"], check=True)
    return [str(program), str(library)]


@pytest.mark.parametrize(
    ("compiler", "flags", "certain"),
    [
        ("gcc", [], True),
        ("musl-gcc", [], False),
        ("musl-gcc", ["-nostdlib"], False),  # only the process says which libc it has
    ],
)
def test_other_libc(binary, gradwatch, tmp_path, compiler, flags, certain):
    process = Process(build(tmp_path, compiler, flags))
    assert process.line() == "up"
    monitor = gradwatch("--pid", process.pid).armed()
    process.send("go")
    assert process.line() == "done"
    process.close_stdin()
    monitor.finish()
    (attached,) = monitor.of_type("attached")
    assert attached["certain"] is certain
    assert ("glibc" in (attached["doubt"] or "")) is not certain
    verdicts = [(event["from"], event["to"], event["certain"]) for event in monitor.violations]
    # With glibc it is seen that the mode is no object of Python's.
    assert verdicts == ([] if certain else [(True, False, False), (False, True, False)])
    told = subprocess.run(
        [binary, "doctor", tmp_path / "libc10.so"], capture_output=True, text=True, timeout=60
    ).stdout
    assert ("certain: false" in told) is (not certain and not flags)


@pytest.mark.parametrize("first", [0, 1])
def test_one_file_in_two_libcs(gradwatch, tmp_path, first):
    """It is a process that has another C library, and not the file that it maps."""
    commands = []
    for compiler in ("gcc", "musl-gcc"):
        folder = tmp_path / compiler
        folder.mkdir()
        program, _ = build(folder, compiler, ["-nostdlib"])
        commands.append([program, str(tmp_path / "gcc" / "libc10.so")])
    processes = [Process(command) for command in commands]
    for process in processes:
        assert process.line() == "up"
    pids = [process.pid for process in processes]
    options = [text for pid in (pids[first], pids[1 - first]) for text in ("--pid", str(pid))]
    monitor = gradwatch(*options).armed()
    for process in processes:
        process.send("go")
        assert process.line() == "done"
        process.close_stdin()
    monitor.finish()
    certain = {event["pid"]: event["certain"] for event in monitor.of_type("attached")}
    assert certain == {pids[0]: True, pids[1]: False}
    told = [(event["pid"], event["to"], event["certain"]) for event in monitor.violations]
    assert told == [(pids[1], False, False), (pids[1], True, False)]
