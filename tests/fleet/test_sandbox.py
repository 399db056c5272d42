# SPDX-License-Identifier: GPL-2.0-or-later
"""gradwatch on the host, with the rights that the unit leaves it, sees a real violation.

The tests' host has no systemd: bubblewrap stands for it, with the unit's capabilities, its filter
of system calls, no_new_privs and its view of the file system.
"""

import json
import os
import re
import signal
import subprocess

import pytest
from node import CONTRIB, HERE
from processes import Gradwatch

UNIT = CONTRIB / "systemd/gradwatch.service"

# What bubblewrap is given for lines of the unit.
VIEW = {
    "ProtectSystem=strict": ["--ro-bind", "/", "/"],
    "ProtectHome=yes": ["--tmpfs", "/home", "--tmpfs", "/root"],
    "PrivateTmp=yes": ["--tmpfs", "/tmp", "--tmpfs", "/var/tmp"],
    "PrivateDevices=yes": ["--dev", "/dev"],
    "ProtectKernelTunables=yes": [
        "--ro-bind",
        "/proc/sys",
        "/proc/sys",
        "--ro-bind",
        "/sys",
        "/sys",
    ],
}


@pytest.fixture
def call_filter(tmp_path):
    path = tmp_path / "filter.bpf"
    with open(path, "wb") as out:
        argv = ["/usr/bin/python3", HERE / "make_filter.py", UNIT]
        subprocess.run(argv, check=True, stdout=out)
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def granted():
    text = UNIT.read_text()
    return re.search(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE).group(1).split()


def has_multi():
    """Whether uprobes of this kernel need no CAP_SYS_ADMIN."""
    version = tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))
    with open("/proc/sys/kernel/perf_event_paranoid") as paranoid:
        return version >= (6, 6) and int(paranoid.read()) <= 2


def sandbox(binary, capabilities, call_filter, folders):
    lines = UNIT.read_text().splitlines()
    argv = []
    for line, options in VIEW.items():
        assert line in lines, line
        argv += options
    argv += ["--ro-bind", str(binary), "/tmp/gradwatch"]
    for folder in folders:
        argv += ["--bind", str(folder), f"/tmp/{folder.name}"]
    argv += ["--cap-drop", "ALL"]
    for name in capabilities:
        argv += ["--cap-add", name]
    return [*argv, "--seccomp", str(call_filter), "/tmp/gradwatch", "--json"]


def status_of(binary, path):
    argv = [binary, "status", "--json", "--socket", path]
    return json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)


def rights_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return dict(line.split(":\t") for line in status.read().splitlines() if ":\t" in line)


@pytest.mark.parametrize("admin", [True, False])
def test_violation(binary, puppet, call_filter, tmp_path, admin):
    if not admin and not has_multi():
        admin = True  # README, "Rights": there it is needed
    folders = [tmp_path / "log", tmp_path / "run"]
    for folder in folders:
        folder.mkdir(mode=0o750)
    capabilities = [name for name in granted() if admin or name != "CAP_SYS_ADMIN"]
    argv = sandbox(binary, capabilities, call_filter, folders)
    argv += ["--all", "--log", "/tmp/log", "--socket", "/tmp/run/s"]
    running = puppet()  # is there when it starts
    monitor = Gradwatch("bwrap", *argv, json_lines=False, pass_fds=[call_filter]).armed()
    pid = status_of(binary, tmp_path / "run/s")["pid"]  # bubblewrap is its parent
    rights = rights_of(pid)
    assert rights["Seccomp"] == "2" and rights["NoNewPrivs"] == "1"
    names = subprocess.run(["capsh", f"--decode={rights['CapPrm']}"], capture_output=True)
    has = names.stdout.decode().strip().split("=")[1].upper().split(",")
    assert set(has) <= set(capabilities) and len(has) >= 5
    late = puppet()  # and later
    for program in (running, late):
        program.run("trace", "block no_grad", "operator", "end", "end")
        found = monitor.wait_for(lambda e, p=program: e["type"] == "finding" and e["pid"] == p.pid)
        assert found["severity"] == "violation" and found["stack_status"] == "whole"
    table = status_of(binary, tmp_path / "run/s")["table"]
    assert {running.pid, late.pid} <= {row["pid"] for row in table if row["findings"] == 1}
    os.kill(pid, signal.SIGINT)
    monitor.finish()
    assert subprocess.run([binary, "verify", tmp_path / "log"]).returncode == 0
