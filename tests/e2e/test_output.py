# SPDX-License-Identifier: GPL-2.0-or-later
"""What is written where: text, JSON Lines, and who may have the log."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import logs
import pytest
from processes import Process

HOSTILE_NAME = b'\x1b[31m\n\x07\xff"'  # of a process: an escape, a new line, no UTF-8
EVENT_KEYS = {"v", "type", "time", "mono_ns", "host", "boot_id", "run_id", "seq"}
WHO = {
    "pid",
    "tid",
    "ns_pid",
    "ns_tid",
    "start_ns",
    "comm",
    "uid",
    "exe",
    "cgroup",
    "unit",
    "container",
    "torch",
}
TRACE = {
    *("trace", "kind", "depth", "seen_from_start", "first_push", "first_push_ns", "last_push_ns"),
    *("last_pop", "last_pop_ns", "pushes", "pops", "operators", "changes"),
}
STACK = {"stack_status", "user", "stack"}
FINDING = {
    *(
        "finding",
        "count",
        "fingerprint",
        "category",
        "severity",
        "trace",
        "kind",
        "from",
        "to",
        "certain",
    ),
    *(
        "restored",
        "duration_ns",
        "operators",
        "empty",
        "before_attach",
        "manager",
        "whose",
        "decorator",
        "advice",
        "began",
    ),
    *("decorated", "caller", "suppressed_by"),
}
ACTION = {
    *("trace", "kind", "from", "to", "action", "outcome", "fallback", "signal", "by_bpf"),
    *("after_change", "detail", "duration_ns"),
}
KEYS = {
    "start": set(),
    "attached": WHO | {"sites", "certain", "doubt", "armed_after_ns", "too_late"},
    "trace_begin": WHO | TRACE | STACK,
    "trace_end": WHO | TRACE | {"reason"},
    "change": WHO | STACK | {"trace", "kind", "from", "to", "certain", "info", "began"},
    "finding": WHO | STACK | FINDING,
    "action": WHO | STACK | ACTION,
    "end": {
        *("processes", "traces", "violations", "infos", "findings", "notes", "drifts"),
        *(
            "suppressed",
            "findings_forgotten",
            "lost",
            "lost_output",
            "actions",
            "stacks",
            "ledger",
            "counters",
            "coverage",
        ),
    },
}


def armed_by_log(gradwatch, process, log, *options, **popen):
    """Text mode says nothing when it is ready: the log does."""
    monitor = gradwatch(*("--pid", process.pid, "--log", log), *options, json_lines=False, **popen)
    wait_for_lines(monitor, log, "start")
    return monitor


def wait_for_lines(monitor, log, kind, count=1):
    """Follows the log until so many lines of the type are there."""

    def enough():
        return sum(record["type"] == kind for record in logs.so_far(log)) >= count

    wait_until(enough, monitor)


def wait_until(condition, monitor, timeout=60):
    """For what a file shows: there is nothing to wait on."""
    end = time.monotonic() + timeout
    while not condition():
        assert monitor.alive() and time.monotonic() < end, monitor.stderr
        time.sleep(0.02)


def test_keys_of_all_events(puppet, gradwatch):
    process = puppet()
    acting = ("--on-violation", "raise", "--dry-run", "--enforce-kinds", "make_fx")
    monitor = gradwatch("--pid", process.pid, *acting).armed()
    process.tell("loop 1")
    monitor.stop()
    assert {event["type"] for event in monitor.events} == set(KEYS)
    for event in monitor.events:
        assert set(event) == EVENT_KEYS | KEYS[event["type"]]
    assert [event["type"] for event in monitor.events][-1] == "end"
    for event in monitor.events:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", event["time"])
    process.end()


def test_text_of_a_pipe(puppet, gradwatch, tmp_path):
    process = puppet()
    monitor = armed_by_log(gradwatch, process, tmp_path / "log", "-v")
    process.tell("loop 1")
    process.end()
    status = monitor.wait()
    text = "\n".join(monitor.rest())
    assert status == 0
    assert "\x1b" not in text + monitor.stderr
    assert text.count("VIOLATION") == 1
    assert "grad mode on -> off inside a trace, back on" in text and "puppet.py:" in text
    assert f"[{process.pid}]" in text
    assert re.search(r"trace \d+ began", text) and re.search(r"trace \d+ ended", text)
    monitor.check_balance()
    assert "1 process, 1 trace, 2 violations, 0 lost, 1 finding\n" in monitor.stderr


COMPILED = """
import torch

class Block(torch.nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x.relu()
        return x + y

torch.compile(Block(), backend="aot_eager")(torch.ones(2, requires_grad=True))
"""


def test_text_of_compiled_code(any_target, gradwatch, tmp_path):
    """It does not say that the line which calls it makes the change."""
    if any_target.version < (2, 6):
        pytest.skip("its torch.compile is not for this Python")
    program = tmp_path / "compiled.py"
    program.write_text(COMPILED)
    command = any_target.wrap(tmp_path, [any_target.python(), any_target.path(program)])
    monitor = gradwatch("-v", "--", *command, json_lines=False).finish()
    assert monitor.popen.returncode == 0, monitor.stderr
    assert "grad mode on -> off inside compiled code, back on" in monitor.stderr
    assert re.search(r"^    compiled code, called at \S*/compiled.py:10 in", monitor.stderr, re.M)


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_text_of_a_terminal(puppet, gradwatch, tmp_path, environment, coloured):
    ours, theirs = os.openpty()
    process = puppet()
    monitor = armed_by_log(
        *(gradwatch, process, tmp_path / "log"), stdout=theirs, env={**os.environ, **environment}
    )
    os.close(theirs)
    process.tell("loop 1")
    process.end()
    monitor.wait()
    text = read_all(ours)
    assert b"VIOLATION" in text
    assert (b"\x1b[" in text) == coloured


def read_all(fd):
    data = b""
    try:
        while chunk := os.read(fd, 65536):
            data += chunk
    except OSError:  # EIO: the other side of a terminal is closed
        pass
    os.close(fd)
    return data


def test_hostile_name_of_a_process(puppet, gradwatch, tmp_path):
    process = puppet()
    monitor = armed_by_log(gradwatch, process, tmp_path / "log", "-v")
    process.tell(f"name {HOSTILE_NAME.hex()}")
    process.tell("loop 1")
    process.end()
    monitor.wait()
    text = "\n".join(monitor.rest())
    assert text.count("VIOLATION") == 1
    assert all(character.isprintable() or character == "\n" for character in text)
    assert r"\x1b[31m" in text
    # A new line would make more lines: each still has its time, or is a finding's and indented.
    line_start = r"\d\d:\d\d:\d\d\.\d{3}  |    "
    assert all(re.match(line_start, line) for line in text.splitlines())
    for event in logs.read(tmp_path / "log"):
        if event["type"] == "change":
            assert event["comm"] == HOSTILE_NAME.decode(errors="replace")


def test_log_has_the_same_lines(puppet, gradwatch, tmp_path):
    log = tmp_path / "log"
    process = puppet()
    monitor = gradwatch("--pid", process.pid, "--log", log).armed()
    process.tell("loop 2")
    process.end()
    monitor.finish()
    assert logs.events(log) == logs.events_of(monitor.events)


def test_log_is_private(puppet, gradwatch, tmp_path):
    log = tmp_path / "log"
    process = puppet()
    before = os.umask(0)
    try:
        monitor = armed_by_log(gradwatch, process, log)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in log.iterdir()}
    assert stat.S_IMODE(log.stat().st_mode) == 0o700 and modes == {0o600}
    monitor.signal(signal.SIGINT)
    assert monitor.wait() == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in log.iterdir()} == {0o600}
    process.end()


def test_log_begins_a_new_segment(puppet, gradwatch, tmp_path):
    """SIGHUP, as after the old segment was taken away."""
    log = tmp_path / "log"
    process = puppet()
    monitor = armed_by_log(gradwatch, process, log)
    process.tell("loop 1")
    wait_for_lines(monitor, log, "change", 2)
    wait_for_lines(monitor, log, "trace_end")
    monitor.signal(signal.SIGHUP)
    wait_until(lambda: len(logs.segments(log)) == 2, monitor)
    process.tell("loop 1")
    process.end()
    assert monitor.wait() == 0
    old, new = (
        [record["type"] for record in logs.records_of(logs.data_of(path))[0]]
        for path in logs.segments(log)
    )
    assert old.count("change") == new.count("change") == 2
    assert old[0] == new[0] == "header" and old[-1] == new[-1] == "close"
    assert "start" in old and new[-2] == "end"


def test_log_that_cannot_be_opened(binary, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    link = tmp_path / "link"
    link.symlink_to(target)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    for name in ("none/log", "link", "fifo", "file"):
        result = subprocess.run(
            [binary, "--log", tmp_path / name, "--", "true"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        (line,) = result.stderr.splitlines()
        assert result.returncode == 2
        assert line.startswith(f"gradwatch: error: cannot log to '{tmp_path / name}': ")
    assert not list(target.iterdir())


def test_log_of_another(binary, tmp_path):
    """A folder that somebody else could change: refused, with the fix."""
    log = tmp_path / "log"
    log.mkdir(0o700)
    os.chown(log, 65534, 65534)

    def run(**environment):
        command = [binary, "--log", log, "--", "true"]
        environment = {**os.environ, **environment}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    assert "belongs to user 65534" in run().stderr
    assert run(SUDO_UID="65534", SUDO_GID="65534").returncode == 0  # it is the caller's
    os.chown(log, 0, 0)
    log.chmod(0o722)
    assert "chmod go-w" in run().stderr
    assert run().returncode == 2
    assert [event["type"] for event in logs.events(log)] == ["start", "end"]


def test_reader_that_goes_away(puppet, gradwatch):
    """As with `gradwatch ... | head -1`: an orderly end."""
    reading, writing = os.pipe()
    process = puppet()
    monitor = gradwatch("--pid", process.pid, stdout=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert b'"type":"' in pipe.readline()
    process.tell("loop 1")
    assert monitor.wait() == 0
    assert "ledger: " in monitor.stderr
    process.end()


def test_start_ns_is_the_same_in_all_events(puppet, gradwatch):
    """Together with the pid it joins the events of a process."""
    process = puppet()
    monitor = gradwatch("--pid", process.pid).armed()
    process.tell("loop 1")
    monitor.stop()
    stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(stat[19]) * 10**9 // os.sysconf("SC_CLK_TCK")
    starts = {(event["type"], event["start_ns"]) for event in monitor.events if "pid" in event}
    assert {kind for kind, _ in starts} >= {"attached", "trace_begin", "change", "finding"}
    assert {start for _, start in starts} == {ticks}
    process.end()


@pytest.mark.parametrize("namespace", [[], ["unshare", "--mount"]], ids=["host", "unshare"])
def test_version_in_a_chroot(binary, any_target, tmp_path, namespace):
    """The kernel shows paths from gradwatch's root, version.py is looked for from the process's."""
    if any_target.in_root:
        pytest.skip("this target is a chroot already")
    root = tmp_path / "root"
    root.mkdir()
    program = "import torch; print(torch.__version__, flush=True); input()"
    command = ["chroot", root, any_target.python(), "-c", program]
    for arguments in (
        ("--bind", "/", root),
        ("--make-private", root),
        ("--bind", "/dev", root / "dev"),
    ):
        subprocess.run(["mount", *arguments], check=True)
    try:
        process = Process([*namespace, *command])
        version = process.line()
        assert version, process.stderr
        command = [binary, "doctor", "--pid", str(process.pid)]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert f"torch {version} for" in shown.stdout, shown
        process.send("")
        assert process.wait() == 0
    finally:
        process.popen.kill()
        subprocess.run(["umount", "-l", root], check=True)


def test_colours_are_not_for_a_dumb_terminal(binary):
    for terminal, coloured in (("dumb", False), ("xterm", True)):
        ours, theirs = os.openpty()
        environment = {**os.environ, "TERM": terminal}
        # A file that is skipped is told with a colour.
        script = "import mmap, sys, tempfile; f = tempfile.NamedTemporaryFile(prefix='libc10');"
        script += "f.write(b'no ELF' * 1000); f.flush(); p = mmap.PROT_READ | mmap.PROT_EXEC;"
        script += "m = mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=p);"
        script += "import time; time.sleep(1)"
        command = [binary, "-v", "--", sys.executable, "-c", script]
        done = subprocess.run(command, stderr=theirs, env=environment, timeout=60)
        os.close(theirs)
        text = read_all(ours)
        assert done.returncode == 0 and b"skipped" in text
        assert (b"\x1b[" in text) == coloured
