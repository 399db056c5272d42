# SPDX-License-Identifier: GPL-2.0-or-later
"""What a running gradwatch shows: status, metrics, and what systemd is notified of."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mapping import MAP_FILES
from processes import DEADLINE, Process

SAMPLE = re.compile(r"^([a-z_]+)(?:\{([^}]*)\})? ([0-9.e+-]+)$")


@pytest.fixture
def place():
    """A folder with a short name: a socket's path has 107 bytes at most."""
    folder = f"/tmp/gw{os.getpid()}"
    os.mkdir(folder)
    yield folder
    shutil.rmtree(folder)


def eventually(check):
    """What a check returns as soon as that is true."""
    end = time.monotonic() + DEADLINE
    while not (result := check()):
        assert time.monotonic() < end, check
        time.sleep(0.05)
    return result


def status(binary, path):
    run = subprocess.run(
        [binary, "status", "--json", "--socket", path], capture_output=True, timeout=DEADLINE
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def row(binary, path, pid):
    rows = [each for each in status(binary, path)["table"] if each["pid"] == pid]
    assert len(rows) <= 1
    return rows[0] if rows else None


def scrape(port, path="/metrics", timeout=DEADLINE):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
        return answer.read().decode()


def values(text):
    """Samples by name and labels as they are written."""
    samples = [SAMPLE.match(line) for line in text.splitlines() if not line.startswith("#")]
    assert all(samples), text
    return {
        f"{name}{{{labels or ''}}}": float(n) for name, labels, n in map(re.Match.groups, samples)
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def one_finding(program):
    program.run("trace", "block no_grad", "operator", "end", "end")


def test_status_and_metrics(binary, gradwatch, puppet, place):
    """The table has the process with what it did; totals, metrics and events say the same."""
    path, port = f"{place}/s", free_port()
    program = puppet()
    monitor = gradwatch(
        "--pid", program.pid, "--socket", path, "--metrics", f"127.0.0.1:{port}"
    ).armed()
    before = row(binary, path, program.pid)
    assert before["coverage"] == "watched" and before["reason"] is None
    assert (before["traces"], before["findings"]) == (0, 0)
    one_finding(program)
    monitor.wait_for("finding")
    after = eventually(lambda: (r := row(binary, path, program.pid))["traces"] and r)
    assert (after["traces"], after["changes"], after["findings"]) == (1, 2, 1)
    assert after["torch"]["version"] and after["python"] and after["last_event"]
    seen = eventually(lambda: (v := values(scrape(port)))["gradwatch_traces_total{}"] and v)
    whole = status(binary, path)
    assert seen["gradwatch_violations_total{}"] == whole["totals"]["violations"] == 2
    assert seen['gradwatch_findings_total{kind="make_fx",severity="violation"}'] == 1
    assert whole["occurrences"]["make_fx"]["violation"] == 1
    assert seen['gradwatch_processes{coverage="watched"}'] == whole["covered"]["watched"] == 1
    assert seen["gradwatch_ready{}"] == 1
    one_finding(program)  # the same again: an occurrence, no new finding
    eventually(lambda: status(binary, path)["occurrences"]["make_fx"]["violation"] == 2)
    monitor.stop()
    assert monitor.end_event["findings"] == 1
    assert not os.path.exists(path)


def test_changes_without_an_output_of_them(binary, gradwatch, puppet, place):
    """Text has no single changes; status counts them all the same."""
    path = f"{place}/s"
    program = puppet()
    monitor = gradwatch("--pid", program.pid, "--socket", path, json_lines=False)
    eventually(lambda: os.path.exists(path) and status(binary, path)["ready"])
    one_finding(program)
    entry = eventually(lambda: (r := row(binary, path, program.pid))["findings"] and r)
    assert entry["changes"] == 2
    program.end()
    monitor.wait()


def test_text(binary, gradwatch, puppet, place):
    program = puppet()
    gradwatch("--pid", program.pid, "--socket", f"{place}/s").armed()
    run = subprocess.run(
        [binary, "status", "--socket", f"{place}/s"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert re.search(rf"^watched +{program.pid} +\d+\.\d+", run.stdout, re.MULTILINE), run.stdout


def test_unsupported_stays(binary, gradwatch, any_target, place, tmp_path):
    """What cannot be watched is reported once, and is in the table as long as it lives."""
    path = f"{place}/s"
    (tmp_path / "libc10.so").write_bytes(any_target.libc10().read_bytes()[:65536])
    holder = Process([sys.executable, "-c", MAP_FILES, tmp_path / "libc10.so"])
    assert holder.line() == "up", holder.stderr
    other = Process(["sleep", "600"])
    monitor = gradwatch("--pid", holder.pid, "--pid", other.pid, "--socket", path).armed()
    skipped = monitor.wait_for("skipped")
    entry = row(binary, path, holder.pid)
    assert entry["coverage"] == "unsupported"
    assert entry["reason"] == skipped["reason"]
    assert row(binary, path, other.pid) is None  # it has no PyTorch
    assert status(binary, path)["covered"]["unsupported"] == 1
    holder.close_stdin()
    holder.wait()
    eventually(lambda: row(binary, path, holder.pid) is None)
    monitor.stop()
    assert len(monitor.of_type("skipped")) == 1


def test_second_is_told(binary, gradwatch, puppet, place):
    path = f"{place}/s"
    first = gradwatch("--pid", puppet().pid, "--socket", path).armed()
    second = subprocess.run(
        [binary, "--all", "--socket", path], capture_output=True, text=True, timeout=DEADLINE
    )
    assert second.returncode == 2
    assert f"runs already, as process {first.pid}" in second.stderr
    first.signal(signal.SIGKILL)
    first.wait()
    assert os.path.exists(path)  # is left behind, and replaced
    third = gradwatch("--pid", puppet().pid, "--socket", path).armed()
    assert status(binary, path)["pid"] == third.pid
    third.stop()


def test_nobody_there(binary, place):
    run = subprocess.run(
        [binary, "status", "--socket", f"{place}/s"], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "no gradwatch listens" in run.stderr


def ask_as_nobody(path):
    """What a process of another user and group is answered: a number of bytes, or an exception."""
    program = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({path!r}); "
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3"]
    run = subprocess.run(
        [*argv, "-c", program + "print(len(s.recv(100)))"], capture_output=True, text=True
    )
    return run.stdout.strip() or run.stderr


def test_peers(binary, gradwatch, puppet, place):
    """Other users are refused by the socket's mode, and by gradwatch."""
    path = f"{place}/s"
    monitor = gradwatch("--pid", puppet().pid, "--socket", path).armed()
    os.chmod(place, 0o755)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert "PermissionError" in ask_as_nobody(path)
    os.chmod(path, 0o666)
    assert ask_as_nobody(path) == "0"
    assert status(binary, path)
    monitor.stop()


def test_slow_readers(binary, gradwatch, puppet, place):
    """Peers that do not read take their places for some seconds only, and disturb nobody."""
    path = f"{place}/s"
    program = puppet()
    monitor = gradwatch("--pid", program.pid, "--socket", path).armed()
    idle = []
    for _ in range(20):
        idle.append(socket.socket(socket.AF_UNIX))
        idle[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        idle[-1].connect(path)
    one_finding(program)
    monitor.wait_for("finding")
    eventually(lambda: row(binary, path, program.pid)["findings"] == 1)
    for each in idle:
        each.close()
    monitor.stop()


def test_scrape_that_hangs(gradwatch, puppet):
    """Peers that stop in the middle of a request are cut off; others are served meanwhile."""
    port = free_port()
    program = puppet()
    monitor = gradwatch("--pid", program.pid, "--metrics", f"127.0.0.1:{port}").armed()
    hanging = []
    for _ in range(15):
        hanging.append(socket.create_connection(("127.0.0.1", port)))
        hanging[-1].sendall(b"GET /metrics HTT")
    one_finding(program)
    monitor.wait_for("finding")
    assert values(scrape(port))["gradwatch_ready{}"] == 1
    for each in hanging:
        each.settimeout(DEADLINE)
        with contextlib.suppress(ConnectionResetError):
            each.recv(1000)  # ends: it is cut off, with or without an answer
        each.close()
    monitor.stop()


@pytest.mark.parametrize(
    "request_line, answer",
    [
        (b"GET / HTTP/1.1", b"404"),
        (b"POST /metrics HTTP/1.1", b"405"),
        (b"HEAD /metrics HTTP/1.1", b"200"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100000, b"431"),
        (b"\x00\xff\x01", None),
    ],
)
def test_requests(gradwatch, puppet, request_line, answer):
    port = free_port()
    gradwatch("--pid", puppet().pid, "--metrics", f"[127.0.0.1]:{port}").armed()
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.settimeout(DEADLINE)
        with contextlib.suppress(ConnectionError):
            peer.sendall(request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        with contextlib.suppress(ConnectionError):
            got = peer.recv(100)
    if answer:
        assert got.split(b" ")[1] == answer
    assert values(scrape(port))


def test_port_taken(binary):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        where = f"127.0.0.1:{other.getsockname()[1]}"
        run = subprocess.run(
            [binary, "--all", "--metrics", where], capture_output=True, text=True, timeout=DEADLINE
        )
    assert run.returncode == 2
    assert f"cannot listen at '{where}'" in run.stderr and "in use" in run.stderr


@pytest.mark.parametrize("where", ["x", "1.2.3.4.5:9", ":", "localhost:9465", "127.0.0.1:99999"])
def test_bad_address(binary, where):
    run = subprocess.run(
        [binary, "--all", "--metrics", where], capture_output=True, text=True, timeout=DEADLINE
    )
    assert run.returncode == 2
    assert "--metrics" in run.stderr


def test_textfile(gradwatch, puppet, place):
    path = f"{place}/gradwatch.prom"
    monitor = gradwatch("--pid", puppet().pid, "--metrics-textfile", path).armed()
    eventually(lambda: os.path.exists(path))
    assert "gradwatch_ready{}" in values(Path(path).read_text())
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    monitor.stop()
    assert os.listdir(place) == []


def test_textfile_without_folder(gradwatch, puppet, place):
    """It is said once, and the monitor goes on."""
    monitor = gradwatch("--pid", puppet().pid, "--metrics-textfile", f"{place}/no/x.prom").armed()
    time.sleep(1)
    monitor.stop()
    assert monitor.status == 0


def test_notify(gradwatch, puppet, place):
    """systemd is told when it is ready, that it lives, and that it ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{place}/n")
        systemd.settimeout(DEADLINE)
        environment = os.environ | {"NOTIFY_SOCKET": f"{place}/n", "WATCHDOG_USEC": "400000"}
        monitor = gradwatch("--pid", puppet().pid, env=environment)
        messages = []
        while "READY=1" not in messages or messages.count("WATCHDOG=1") < 4:
            messages += systemd.recv(4096).decode().split("\n")
        assert any(each.startswith("STATUS=1 processes watched") for each in messages), messages
        monitor.armed().stop()
        while "STOPPING=1" not in messages:
            messages += systemd.recv(4096).decode().split("\n")
