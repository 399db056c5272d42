# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals for gradwatch and its command, which are in one process group: the command gets each
once, whoever sends it and to whom."""

import fcntl
import os
import signal
import sys
import termios
import time

import pytest

COMMAND = """
import os, signal, sys
def got(number, frame):
    os.write(1, f"got {number}\\n".encode())
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, got)
if "own-group" in sys.argv:
    os.setpgid(0, 0)
os.write(1, f"pid {os.getpid()}\\n".encode())
while os.read(int(sys.argv[1]), 1):
    pass
"""
LATER = 0.5  # seconds after which one more would have come


def to_gradwatch(monitor, child, number):
    os.kill(monitor.pid, number)


def to_the_group(monitor, child, number):
    os.killpg(monitor.pid, number)


def to_the_command(monitor, child, number):
    os.kill(child, number)


def to_one_after_the_other(monitor, child, number):
    """As systemd does, from the oldest process on."""
    os.kill(monitor.pid, number)
    os.kill(child, number)


def as_timeout_does(monitor, child, number):
    os.kill(monitor.pid, number)
    os.killpg(monitor.pid, number)


@pytest.fixture
def start(gradwatch):
    """Starts gradwatch with the command; returns it and the command's pid."""

    opened = []

    def run(*arguments, **options):
        reading, writing = os.pipe()
        opened.append(writing)
        command = [sys.executable, "-S", "-c", COMMAND, str(reading), *arguments]
        monitor = gradwatch("--", *command, pass_fds=[reading], **options)
        os.close(reading)
        monitor.ending = writing
        monitor.wait_for("start")
        word, child = monitor.line().split()
        assert word == "pid"
        return monitor, int(child)

    yield run
    for fd in opened:
        os.close(fd)


def signals_got(monitor, first):
    """How many of them the command has got, from the first on until none comes any more."""
    lines = [first]
    time.sleep(LATER)
    os.write(monitor.ending, b"x")
    while not monitor.lines.empty():
        lines.append(monitor.line())
    return lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize(
    "send",
    [to_gradwatch, to_the_group, to_the_command, to_one_after_the_other, as_timeout_does],
)
def test_command_gets_it_once(start, send, number):
    monitor, child = start()
    for _ in range(2):  # the one before does not count
        send(monitor, child, number)
        assert signals_got(monitor, monitor.line()) == [f"got {int(number)}"]
    assert monitor.alive()


def test_command_in_a_group_of_its_own(start):
    """What its group is not sent is passed on."""
    monitor, child = start("own-group")
    to_the_group(monitor, child, signal.SIGTERM)
    assert signals_got(monitor, monitor.line()) == [f"got {int(signal.SIGTERM)}"]


@pytest.mark.parametrize("arguments", [[], ["own-group"]])
def test_ctrl_c(start, arguments):
    """A terminal sends it to its foreground process group, which is gradwatch's."""
    ours, theirs = os.openpty()
    control = lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)  # noqa: E731
    monitor, _ = start(*arguments, stdin=theirs, preexec_fn=control)
    os.close(theirs)
    os.write(ours, b"\x03")
    assert signals_got(monitor, monitor.line()) == [f"got {int(signal.SIGINT)}"]
    os.close(ours)
