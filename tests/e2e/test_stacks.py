# SPDX-License-Identifier: GPL-2.0-or-later
"""Python stacks, compared with what Python itself says on the very line of the call."""

import collections
import json
import os
import pathlib

import processes
import pytest
import targets

MAX_FRAMES = 128  # GW_MAX_FRAMES
AT_LEAST = 200  # stacks of a run
STANDIN = pathlib.Path(os.environ.get("GRADWATCH_STANDIN", targets.REPO / "build" / "standin"))
PYENV = pathlib.Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
KNOWN = range(9, 15)  # minor versions


def interpreters(minors):
    found = PYENV.glob("3.*/bin/python3")
    return sorted(path for path in found if int(path.parts[-3].split(".")[1]) in minors)


def record(argv, gradwatch, file, *options):
    """Runs the program under gradwatch; returns what Python said, and the monitor."""
    program = processes.Process(argv)
    while (line := program.line()) != "ready":
        assert line is not None, program.stderr
    monitor = gradwatch("--rate", 0, "--pid", program.pid, "--follow", *options).armed()
    program.send("go")
    program.wait()
    monitor.finish()
    return [json.loads(line) for line in file.read_text().splitlines()], monitor


def pair(said, violations):
    """Each stack of Python with its event: in order, for each thread."""
    of_thread = collections.defaultdict(collections.deque)
    for event in violations:
        of_thread[event["pid"], event["tid"]].append(event)
    for stack in said:
        event = of_thread[stack["pid"], stack["tid"]].popleft()
        assert event["mono_ns"] >= stack["before"]
        yield stack["frames"], event
    assert not any(of_thread.values()), "changes that the program did not make"


def frames_of(event):
    """Without those through which a mode of torch handed on the call to C++."""
    frames = [[frame["file"], frame["function"], frame["line"]] for frame in event["stack"]]
    while frames[0][1].endswith("__torch_function__") and "/torch/" in frames[0][0]:
        del frames[0]
    return frames


def check(said, monitor):
    cut = 0
    for frames, event in pair(said, monitor.violations):
        seen = frames_of(event)
        if event["stack_status"] == "cut":
            cut += 1
            # Frames that Python hides take room as well.
            assert len(frames) > len(seen) > MAX_FRAMES - 16
            frames = frames[: len(seen)]
        else:
            assert event["stack_status"] == "whole"
        assert seen == frames
    assert monitor.end_event["stacks"]["whole"] + cut == len(said)
    return cut


def test_stacks_in_torch(target, tmp_path, gradwatch):
    file = tmp_path / "stacks"
    file.touch(mode=0o666)
    argv = target.command(tmp_path, "stacks.py", "torch", target.path(file))
    said, monitor = record(argv, gradwatch, file)
    assert len(said) >= AT_LEAST
    assert check(said, monitor) == 1  # the one of 300 frames
    assert monitor.ledger["lost"] == 0
    # Two processes, three threads.
    assert len({(stack["pid"], stack["tid"]) for stack in said}) == 3


def record_standin(python, tmp_path, gradwatch):
    """Without PyTorch: the native stand-in, called through ctypes."""
    file = tmp_path / "stacks"
    library = STANDIN / "keyed" / "libc10.so"
    argv = [python, targets.PROGRAMS / "stacks.py", library, file]
    return record(list(map(str, argv)), gradwatch, file)


@pytest.mark.parametrize("python", interpreters(KNOWN), ids=lambda path: path.parts[-3])
def test_stacks_of_an_interpreter(python, tmp_path, gradwatch):
    said, monitor = record_standin(python, tmp_path, gradwatch)
    assert len(said) >= AT_LEAST
    assert check(said, monitor) == 1


@pytest.mark.parametrize("python", interpreters([8]), ids=lambda path: path.parts[-3])
def test_interpreter_that_is_not_known(python, tmp_path, gradwatch):
    """The changes are told all the same, with the reason why they have no stack."""
    said, monitor = record_standin(python, tmp_path, gradwatch)
    assert len(said) == len(monitor.violations) >= AT_LEAST
    assert {event["stack_status"] for event in monitor.violations} == {"unsupported_python"}
    assert not any(event["stack"] for event in monitor.violations)
    assert monitor.end_event["stacks"]["unsupported_python"] == len(said)


def test_killed_by_its_next_instruction(target, tmp_path, gradwatch):
    file = tmp_path / "stacks"
    file.touch(mode=0o666)
    argv = target.command(tmp_path, "stacks.py", "torch", target.path(file), "kill")
    said, monitor = record(argv, gradwatch, file)
    assert len(said) == 3
    check(said, monitor)


@pytest.mark.parametrize("python", interpreters([9, 10]), ids=lambda path: path.parts[-3])
@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("cycle", "cut"),
        ("wild_frame", "unreadable"),
        ("wild_code", "whole"),
        ("long_name", "whole"),
    ],
)
def test_broken_interpreter_state(python, how, status, tmp_path, gradwatch):
    """The change is told and judged right, with what could be read of its stack."""
    library = STANDIN / "keyed" / "libc10.so"
    argv = [python, targets.PROGRAMS / "hostile.py", library, how]
    program = processes.Process(list(map(str, argv)))
    assert program.line() == "ready", program.stderr
    monitor = gradwatch("--pid", program.pid).armed()
    program.send("go")
    assert program.wait() == 0
    monitor.finish()
    (event,) = monitor.violations
    assert (event["from"], event["to"], event["certain"]) == (True, False, True)
    assert event["stack_status"] == status
    assert len(event["stack"]) <= MAX_FRAMES
    assert monitor.end_event["stacks"][status] == 1
    if how == "long_name":
        # At most GW_NAME_BYTES of it, as UTF-8.
        assert all(len(frame["function"]) <= 256 for frame in event["stack"])
    if how == "wild_code":
        assert "?" in [frame["file"] for frame in event["stack"]]
