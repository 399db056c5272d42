# SPDX-License-Identifier: GPL-2.0-or-later
"""The configurations that are shipped, in Debian's rsyslogd: records arrive once, unchanged."""

import contextlib
import signal
import subprocess
from collections import Counter

import pytest
from node import CONTRIB
from processes import Process
from services import eventually, free_port

LONG = 1_500_000  # bytes of a record: more than rsyslog's own limit, less than gradwatch's
# As in Debian's rsyslog.conf: an input is there before ours.
MAIN = """module(load="imuxsock" SysSock.Use="off")
global(workDirectory="{folder}")
include(file="{folder}/10-gradwatch.conf")
"""


class Rsyslogd(Process):
    """One with a folder of its own for its state."""

    def __init__(self, folder, name, **words):
        text = (CONTRIB / "rsyslog" / name).read_text()
        for old, new in words.values():
            assert old in text, old
            text = text.replace(old, new)
        folder.mkdir(exist_ok=True)
        (folder / "10-gradwatch.conf").write_text(text)
        (folder / "main.conf").write_text(MAIN.format(folder=folder))
        argv = ["rsyslogd", "-n", "-C", "-f", folder / "main.conf", "-i", folder / "pid"]
        subprocess.run([*argv[:1], "-N1", *argv[2:5]], check=True, capture_output=True)
        super().__init__(argv)
        eventually(lambda: (folder / "pid").exists())

    def stop(self):
        self.signal(signal.SIGTERM)
        assert self.wait() == 0, self.stderr


@pytest.fixture
def place(tmp_path):
    """Starts the two, in folders of the test."""
    log, fleet = tmp_path / "log", tmp_path / "fleet"
    fleet.mkdir()
    port = free_port()

    def start(name):
        if name == "central.conf":
            return Rsyslogd(
                *(tmp_path / "central", name),
                port=('port="5140"', f'port="{port}" address="127.0.0.1"'),
                fleet=("/var/log/gradwatch-fleet", str(fleet)),
            )
        return Rsyslogd(
            *(tmp_path / "node", name),
            port=('target="collector.example" port="5140"', f'target="127.0.0.1" port="{port}"'),
            retry=('resumeInterval="10"', 'resumeInterval="1"'),
            log=("/var/log/gradwatch/", f"{log}/"),
        )

    return start, log, fleet


def records(folder):
    found = Counter()
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(FileNotFoundError):
            found.update(path.read_bytes().splitlines(keepends=True))
    return found


def test_each_record_arrives_once(gradwatch, puppet, place):
    start, log, fleet = place
    central, node = start("central.conf"), start("gradwatch.conf")
    program = puppet()
    monitor = gradwatch(
        *("--pid", program.pid, "--log", log, "--log-plain", "--log-rotate", "records=20")
    ).armed()
    finding = ("trace", "block no_grad", "operator", "end", "end")
    for count in range(1, 4):
        program.run(*finding * 5)
        monitor.wait_for("trace_end", 5 * count)
        if count == 1:  # the node's is away for a while, and then the other one
            eventually(lambda: sum(records(fleet).values()) > 10)
            node.stop()
        elif count == 2:
            node = start("gradwatch.conf")
            eventually(lambda: records(fleet) == records(log))
            central.stop()
    central = start("central.conf")
    monitor.stop()
    (log / "long.jsonl").write_bytes(b'{"a":"' + b"x" * LONG + b'"}\n')
    (log / "odd.jsonl").write_bytes('{"a":"\\u0001\\t%msg% é\x7f"}\n'.encode())
    eventually(lambda: sum(records(fleet).values()) >= sum(records(log).values()))
    node.stop()
    central.stop()
    assert records(fleet) == records(log)
    assert len(list(log.glob("*.jsonl"))) > 4
    assert max(records(log).values()) == 1
