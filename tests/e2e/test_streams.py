# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose stream is whose; readers that stall or go away, disks that are full, closed descriptors."""

import collections
import contextlib
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import logs
import pytest
from enforcing import wait_until as until
from processes import DEADLINE, TOTALS, Process

FORMS = ([], ["--json"], ["--print-suppressions"], ["-v"])
MAP_AND_END = """
import mmap, os, sys
file = open(sys.argv[1], "rb")
mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
os._exit(0)
"""


def run(argv, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(list(map(str, argv)), text=True, timeout=DEADLINE, **options)


@pytest.fixture
def artefact(any_target, tmp_path):
    def argv(status=0):
        return any_target.command(tmp_path, "artefact.py", str(status))

    return argv


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[0].strip("-") if form else "text")
def test_standard_output_is_the_command_s(binary, artefact, form, tmp_path):
    alone = run(artefact(3))
    watched = run([binary, *form, "--", *artefact(3)])
    assert alone.stdout.startswith("def forward")
    assert (watched.returncode, watched.stdout) == (3, alone.stdout)
    sign = {"--json": '"type":"finding"', "--print-suppressions": "make_fx"}
    assert sign.get(form[0] if form else "", "VIOLATION") in watched.stderr
    # To a file: standard error then has nothing but the totals.
    file = tmp_path / "events"
    watched = run([binary, *form, "-o", file, "--", *artefact(3)])
    assert (watched.returncode, watched.stdout) == (3, alone.stdout)
    lines = file.read_text().splitlines()
    assert lines and all(lines)  # the command does not write there: no empty lines
    assert sign.get(form[0] if form else "", "VIOLATION") in file.read_text()
    assert [line.split()[0] for line in watched.stderr.splitlines() if line] == ["1", "ledger:"]
    if form == ["--json"]:
        assert [json.loads(line) for line in lines][-1]["type"] == "end"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("output", [[], ["-o", "-"], ["-o", "/dev/stderr"]], ids=str)
def test_events_among_unfinished_lines(binary, any_target, tmp_path, stream, output):
    """As on a terminal: all goes to one place, and each event is a line of its own."""
    argv = any_target.command(tmp_path, "progress.py", stream, "1")
    mixed = run([binary, "--json", *output, "--", *argv], stderr=subprocess.STDOUT).stdout
    events = [json.loads(line) for line in mixed.splitlines() if '"mono_ns"' in line]
    kinds = [event["type"] for event in events]
    assert kinds[0] == "start" and kinds[-1] == "end"
    assert kinds.count("change") == 2 and kinds.count("finding") == 1
    # Something did come while the line was unfinished.
    assert "tracing layer 1 ...\n{" in mixed.replace("\n\n", "\n")
    assert TOTALS.search(mixed) and "\nledger: " in mixed
    assert "the last line has no end\n" in mixed


def test_text_among_unfinished_lines(binary, any_target, tmp_path):
    argv = any_target.command(tmp_path, "progress.py", "stderr", "1")
    lines = run([binary, "--", *argv], stderr=subprocess.STDOUT).stdout.splitlines()
    starts = [line for line in lines if "VIOLATION" in line or "attached" in line]
    assert len(starts) == 2
    assert all(line[2] == ":" and line[:2].isdigit() for line in starts)
    assert "1 process, 1 trace, 2 violations, 0 lost, 1 finding" in lines


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_descriptors(binary, artefact, tmp_path, closed):
    """What gradwatch opens must not become the command's standard output or error."""
    log = tmp_path / "log"
    show = 'x=$(ls -l /proc/$$/fd); echo "$x" >&3; printf output; printf error >&2'
    shell = f'exec 3>"$0" {" ".join(f"{fd}>&-" for fd in closed)}; exec "$@"'
    inner = [binary, "--log", log, "--", "sh", "-c", show]
    result = run(["sh", "-c", shell, tmp_path / "shown", *inner])
    assert result.returncode == 0, result.stderr
    assert result.stdout == ("" if 1 in closed else "output")
    assert ("error" in result.stderr) == (2 not in closed)
    assert [event["type"] for event in logs.events(log)] == ["start", "end"]
    shown = (tmp_path / "shown").read_text()
    assert "bpf" not in shown and "perf_event" not in shown
    for fd in closed:
        assert f" {fd} -> /dev/null" in shown


@pytest.mark.parametrize("output", [[], ["--log", "log"]], ids=str)
def test_reader_goes_away_and_the_job_goes_on(binary, artefact, tmp_path, output):
    """gradwatch -o - ... | head -1: the job is not ended, and its status is kept."""
    reading, writing = os.pipe()
    script = 'printf "begun\\n" >&2; sleep 0.3; "$@" >/dev/null; printf "done\\n" >&2; exit 7'
    command = [binary, "--json", "-o", "-", *output, "--", "sh", "-c", script, "sh", *artefact()]
    child = subprocess.Popen(
        list(map(str, command)), stdout=writing, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert b'"type":"start"' in pipe.readline()
    _, errors = child.communicate(timeout=DEADLINE)
    assert child.returncode == 7, errors
    assert "done\n" in errors
    assert errors.count("nobody reads standard output any more") == 1
    assert TOTALS.search(errors)
    assert "lines of output lost: " in errors
    if output:
        kinds = [event["type"] for event in logs.events(tmp_path / "log")]
        assert "finding" in kinds and kinds[-1] == "end"


def test_fail_when_output_is_lost(binary, artefact):
    with open("/dev/full", "w") as full:
        result = run([binary, "--json", "--fail", "-o", "-", "--", "true"], stdout=full)
    assert result.returncode == 3
    assert result.stderr.count("No space left on device") == 1
    # `start` and `end`; the notices about them are no lines of output.
    assert "lines of output lost: 2\n" in result.stderr
    assert (
        "--fail-on: not all could be checked: no libtorch was watched; lines of output lost: 2"
        in (result.stderr)
    )
    result = run([binary, "-o", "/dev/full", "--", *artefact(5)])
    assert result.returncode == 5  # the command's own comes first


@contextlib.contextmanager
def small_disk(path, size):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_log_on_a_full_disk(puppet, gradwatch, tmp_path):
    """Counted, told once, and gone on with when there is space; the log says what is missing."""
    process = puppet()
    with small_disk(tmp_path / "disk", 262144) as disk:
        monitor = gradwatch("--pid", process.pid, "--fail", "--log", disk / "log").armed()
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        process.tell("loop 3")
        monitor.wait_for("finding")
        time.sleep(0.5)  # until all of it is tried
        (disk / "filler").unlink()
        process.tell("loop 3")
        monitor.stop()
        records = [
            record
            for path in logs.segments(disk / "log")
            for record in logs.records_of(logs.data_of(path))[0]
        ]
    lost = monitor.end_event["lost_output"]
    gaps = [record for record in records if record["type"] == "gap"]
    assert sum(gap["count"] for gap in gaps) > 0
    assert {gap["reason"] for gap in gaps} == {"No space left on device"}
    missing = set(range(records[-1]["seq"])) - {record["seq"] for record in records}
    told = set()
    for gap in gaps:
        assert gap["count"] == gap["last_seq"] - gap["first_seq"] + 1 == sum(gap["types"].values())
        told |= set(range(gap["first_seq"], gap["last_seq"] + 1))
    assert missing == told
    of_events = [record for record in records if record["type"] not in logs.NOTES]
    lost_types = collections.Counter()
    for gap in gaps:
        lost_types.update(gap["types"])
    expected = collections.Counter(event["type"] for event in monitor.events)
    found = collections.Counter(record["type"] for record in of_events)
    found.update({name: count for name, count in lost_types.items() if name not in logs.NOTES})
    assert found == expected
    assert lost == sum(lost_types.values())
    assert monitor.stderr.count("No space left on device") == 1
    assert f"lines of output lost: {lost}" in monitor.stderr
    assert monitor.status == 3
    process.end()


def limited(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_log_that_may_not_grow(binary, artefact, tmp_path):
    """RLIMIT_FSIZE: no death by SIGXFSZ, and the command has the signal's default again."""
    show = 'grep SigIgn /proc/self/status; trap "" XFSZ; exit 4'
    result = run(
        [binary, "--log", tmp_path / "log", "--", "sh", "-c", show], preexec_fn=limited(50)
    )
    assert result.returncode == 2 and "File too large" in result.stderr
    # A header and the last record fit into a file, but not with the record of the start.
    run([binary, "--log", tmp_path / "free", "--", "true"])
    sizes = {
        record["type"]: len(json.dumps(record, separators=(",", ":")))
        for record in logs.read(tmp_path / "free")
    }
    limit = sizes["header"] + sizes["end"] + sizes["start"] // 2
    result = run(
        [binary, "--log", tmp_path / "log", "--", "sh", "-c", show], preexec_fn=limited(limit)
    )
    assert result.returncode == 4, result.stderr
    ignored = int(result.stdout.split()[1], 16)
    assert not ignored & 1 << (signal.SIGXFSZ - 1)
    assert len(logs.segments(tmp_path / "log")) > 1  # what does not fit goes to another file
    assert [event["type"] for event in logs.events(tmp_path / "log")] == ["start", "end"]


def test_stalled_reader_holds_nobody_up(puppet, binary, tmp_path):
    """Nobody reads; processes that are stopped for an answer get it, and Ctrl-C ends all."""
    process = puppet()
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    log = tmp_path / "log"
    options = ["--on-violation", "raise", "--enforce-kinds", "decompose", "--log", log]
    command = [binary, "--json", "-vv", *options, "--pid", process.pid]
    monitor = subprocess.Popen(
        list(map(str, command)), stdout=writing, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + DEADLINE
        while not log_of(log, "start"):
            assert monitor.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        process.tell("loop 100")  # the answer comes when the process has done it
        unread = fcntl.ioctl(reading, 0x541B, b"\0\0\0\0")  # FIONREAD
        assert int.from_bytes(unread, "little") > 2048  # the pipe was full indeed
        monitor.send_signal(signal.SIGINT)
        begin = time.monotonic()
        time.sleep(0.5)
        monitor.send_signal(signal.SIGINT)  # a second one ends the waiting for the reader
        _, errors = monitor.communicate(timeout=DEADLINE)
    finally:
        monitor.kill()
        os.close(reading)
        os.close(writing)
    assert monitor.returncode == 0, errors
    assert time.monotonic() - begin < DEADLINE
    assert "lines of output lost: " in errors
    kinds = [event["type"] for event in logs.events(log)]
    assert kinds.count("change") == 200 and kinds[-1] == "end"
    process.end()


STORM = [5000] * 6  # changes of another process: together more lines than fit into the queue
HOLD = 1  # seconds: --hold-timeout


class Reader:
    """A pipe whose reader reads nothing until it is told to."""

    def __init__(self):
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)
        self.events = []
        self.thread = None

    def _read(self):
        with os.fdopen(self.reading, "rb") as pipe:
            self.events += map(json.loads, pipe)

    def start(self):
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def go_away(self):
        os.close(self.reading)

    def of_type(self, kind):
        return [event for event in self.events if event["type"] == kind]


@pytest.fixture
def reader():
    reader = Reader()
    yield reader
    for fd in (reader.writing, *([] if reader.thread else [reader.reading])):
        with contextlib.suppress(OSError):
            os.close(fd)


def lines_of(log):
    """The whole lines of the log by now."""
    paths = logs.segments(log) if log.exists() else []
    return [line for path in paths for line in logs.data_of(path).split(b"\n")[:-1]]


def is_of(line, kind):
    return line.startswith(b'{"v":2,"type":"%s"' % kind.encode())


def log_of(log, kind):
    """The events of a kind."""
    return [json.loads(line) for line in lines_of(log) if is_of(line, kind)]


def violations_in(log):
    return sum(is_of(line, "change") for line in lines_of(log))


@pytest.fixture
def watched(binary, puppet, enforced, reader, tmp_path):
    """
    A process that is acted in, and another that is only watched, whose changes fill the queue of an
    output that nobody reads.
    """

    def start(scene, count, *action):
        name = f"s{os.getpid()}"
        log = tmp_path / "log"
        acted, storm = enforced(scene, count, env={**os.environ, "NAME": name}), puppet()
        options = ["--enforce-kinds", "make_fx", "--enforce-command", name, "--on-violation"]
        pids = ["--pid", acted.pid, "--pid", storm.pid]
        command = [
            binary,
            "--json",
            "-vv",
            "--rate",
            0,
            "--log",
            log,
            "--log-rotate",
            "size=1G",
            *pids,
            *options,
            *action,
        ]
        monitor = Process(list(map(str, command)), stdout=reader.writing)
        os.close(reader.writing)
        until(lambda: log_of(log, "start"))
        return acted, storm, monitor, log

    return start


@pytest.mark.parametrize("action", ["hold", "raise"])
def test_reader_that_stalls_while_processes_are_acted_in(watched, reader, action):
    """Nobody stays stopped longer than the hold; what is lost is told when the reader goes on."""
    limit = ("--hold-timeout", HOLD) if action == "hold" else ()
    count = 2 if action == "hold" else 200
    acted, storm, monitor, log = watched("many", count, action, *limit)
    storm.tell("trace")
    for number, changes in enumerate(STORM, 1):  # the log, which is read, loses nothing
        storm.tell(f"storm {changes}")
        until(lambda so_far=number * changes: violations_in(log) >= so_far)
    until(lambda: "standard output is read too slowly" in monitor.stderr)
    acted.go()
    attempts = acted.attempts()
    assert acted.wait() == 0, acted.stderr
    assert [one["error"] for one in attempts] == ["RuntimeError" * (action == "raise")] * count
    storm.tell("end")
    until(lambda: len(log_of(log, "trace_end")) == 2)
    reader.start()
    storm.run("trace", "set 0", "set 1", "end")
    storm.end()
    assert monitor.wait() == 0, monitor.stderr
    reader.thread.join()
    let_go = log_of(log, "action")
    if action == "hold":
        outcomes = [event["detail"] for event in let_go if event["outcome"] == "let_go"]
        assert outcomes == ["its time is over"] * count
        assert all(event["duration_ns"] < (HOLD + 5) * 1_000_000_000 for event in let_go)
    (end,) = reader.of_type("end")
    notices = reader.of_type("lost_output")
    assert sum(notice["count"] for notice in notices) == notices[-1]["total"] > 0
    (whole,) = log_of(log, "end")
    assert notices[-1]["total"] == end["lost_output"] == whole["lost_output"]
    assert len(reader.events) - len(notices) + end["lost_output"] == sum(
        not any(is_of(line, note) for note in logs.NOTES) for line in lines_of(log)
    )
    assert f"lines of output lost: {end['lost_output']}" in monitor.stderr
    assert monitor.stderr.count("read too slowly") == 1


@pytest.mark.parametrize("action", ["hold", "raise"])
def test_reader_that_goes_away_while_processes_are_acted_in(watched, reader, action):
    limit = ("--hold-timeout", HOLD) if action == "hold" else ()
    count = 2 if action == "hold" else 2000
    acted, storm, monitor, log = watched("many", count, action, *limit)
    acted.go()
    until(lambda: log_of(log, "action"))  # held, or in the midst of raising
    reader.go_away()
    attempts = acted.attempts()
    assert acted.wait() == 0, acted.stderr
    assert [one["error"] for one in attempts] == ["RuntimeError" * (action == "raise")] * count
    storm.tell("loop 1")
    storm.end()
    assert monitor.wait() == 0, monitor.stderr
    assert monitor.stderr.count("nobody reads standard output any more") == 1
    performed = [event for event in log_of(log, "action") if event["outcome"] == "performed"]
    assert len(performed) == count
    assert log_of(log, "end")


def test_fail_when_nothing_was_watched(binary):
    result = run([binary, "--fail", "--", "true"])
    assert result.returncode == 3
    (line,) = [line for line in result.stderr.splitlines() if "--fail" in line]
    assert line == "gradwatch: error: --fail-on: not all could be checked: no libtorch was watched"
    assert run([binary, "--fail", "--", "sh", "-c", "exit 9"]).returncode == 9


def test_fail_when_a_library_was_skipped(binary, any_target, tmp_path):
    """Beside a real one that was watched, and has no finding."""
    fake = tmp_path / "libc10.so"
    fake.write_bytes(any_target.libc10().read_bytes()[:65536])
    program = tmp_path / "both.py"
    program.write_text(
        "import mmap, torch\n"
        f"file = open({any_target.path(fake)!r}, 'rb')\n"
        "kept = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE,"
        " prot=mmap.PROT_READ | mmap.PROT_EXEC)\n"
        "input()\n"
    )
    argv = any_target.wrap(tmp_path, [any_target.python(), any_target.path(program)])
    log = tmp_path / "log"
    command = list(map(str, [binary, "--fail", "--log", log, "--", *argv]))
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + DEADLINE
    while not log_of(log, "skipped"):
        assert child.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    _, errors = child.communicate("\n", timeout=DEADLINE)
    assert child.returncode == 3, errors
    assert "not all could be checked: libtorch files skipped: 1\n" in errors


def test_fail_when_armed_too_late(binary, any_target, tmp_path):
    """The process maps a library that gradwatch has not met, and ends at once."""
    library = tmp_path / "libc10.so"
    library.write_bytes(any_target.libc10().read_bytes())
    log = tmp_path / "log"
    command = [binary, "--fail", "--log", log, "--", sys.executable, "-c", MAP_AND_END, library]
    result = run(command)
    assert result.returncode == 3, result.stderr
    assert "--fail-on: not all could be checked: " in result.stderr
    for event in logs.events(log):
        if event["type"] == "attached":
            assert event["too_late"]
            assert "processes that had ended before the probes were in place: 1" in result.stderr


def test_fail_of_a_clean_run(binary, any_target, tmp_path):
    program = tmp_path / "clean.py"
    program.write_text("import torch\nwith torch.no_grad():\n    torch.ones(1) + 1\n")
    argv = any_target.wrap(tmp_path, [any_target.python(), any_target.path(program)])
    result = run([binary, "--fail", "--", *argv])
    assert result.returncode == 0, result.stderr
    assert "--fail" not in result.stderr
