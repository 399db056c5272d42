# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration file, and what SIGHUP changes."""

import signal
import subprocess
import time

import pytest
from processes import DEADLINE


@pytest.fixture
def config(tmp_path):
    """Writes it."""
    path = tmp_path / "gradwatch.conf"

    def write(text, name=None):
        folder = tmp_path / "gradwatch.conf.d"
        folder.mkdir(exist_ok=True)
        (folder / name if name else path).write_text(text)
        return path

    return write


def check(binary, path):
    return subprocess.run(
        [binary, "--config", path, "--check-config"], capture_output=True, text=True, timeout=60
    )


def named(puppet, name):
    program = puppet("--bare")
    program.tell(f"name {name.encode().hex()}")
    program.tell("load")
    return program


def one_finding(program):
    program.run("trace", "block no_grad", "operator", "end", "end")


def reload(monitor, message):
    """Until it says what came of it."""
    before = monitor.stderr.count(message)
    monitor.signal(signal.SIGHUP)
    end = time.monotonic() + DEADLINE
    while monitor.stderr.count(message) == before:
        assert time.monotonic() < end, monitor.stderr
        time.sleep(0.05)


def found_in(monitor):
    return {event["pid"] for event in monitor.of_type("finding")}


def test_check(binary, config):
    path = config("all\nkinds = export\n")
    assert check(binary, path).stdout == "all\nkinds = export\n"
    config("suppress = /no/such/file\n", "10.conf")
    wrong = check(binary, path)
    assert wrong.returncode == 2 and "/no/such/file" in wrong.stderr


def test_reload_chooses_others(gradwatch, puppet, config):
    """Filters are changed, for processes that are not watched yet; a wrong file changes nothing."""
    one, two = named(puppet, "one"), named(puppet, "two")
    path = config("all\ncomm = one\n")
    monitor = gradwatch("--config", path).armed()
    one_finding(one)
    monitor.wait_for(lambda event: event["type"] == "finding" and event["pid"] == one.pid)
    config("comm = one\nfoo = bar\n")
    reload(monitor, "what was read before stays in force")
    assert f"{path}:2: 'foo' is no option" in monitor.stderr
    one_finding(two)  # is not watched
    config("all\ncomm = two\n")
    reload(monitor, "the configuration is read again")
    monitor.wait_for(lambda event: event["type"] == "attached" and event["pid"] == two.pid)
    assert two.pid not in found_in(monitor)
    one_finding(two)
    monitor.wait_for(lambda event: event["type"] == "finding" and event["pid"] == two.pid)
    late = named(puppet, "one")
    one_finding(late)  # is not watched any more
    one_finding(one)  # stays watched
    monitor.stop()
    assert found_in(monitor) == {one.pid, two.pid}
    assert len([event for event in monitor.of_type("change") if event["pid"] == one.pid]) == 4


def test_what_takes_effect_later(gradwatch, puppet, config, tmp_path):
    program = named(puppet, "one")
    path = config("all\n")
    monitor = gradwatch("--config", path).armed()
    config("all\nrate = 5\n")
    reload(monitor, "a change of 'rate' takes effect at the next start")
    config("all\ncomm = x\n")
    reload(monitor, "takes effect at the next start, as there was no such limit")
    one_finding(program)
    monitor.wait_for(lambda event: event["type"] == "finding" and event["pid"] == program.pid)
    monitor.stop()


def test_reload_of_kinds(gradwatch, puppet, config):
    program = puppet()
    path = config("all\ncomm = *\nkinds = make_fx\n")
    monitor = gradwatch("--config", path, "--verbose").armed()
    one_finding(program)
    monitor.wait_for(lambda event: event["type"] == "finding" and event["pid"] == program.pid)
    config("all\ncomm = *\nkinds = export\n")
    reload(monitor, "the configuration is read again")
    one_finding(program)
    ours = lambda event: event["type"] == "finding" and event["pid"] == program.pid  # noqa: E731
    monitor.wait_for(ours, 2)
    monitor.stop()
    assert [event["severity"] for event in monitor.events if ours(event)] == ["violation", "info"]
