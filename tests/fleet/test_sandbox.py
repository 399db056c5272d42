# SPDX-License-Identifier: GPL-2.0-or-later
"""gradwatch on the host under what the unit allows sees a real violation.

There is no systemd on the host of the tests: bubblewrap and a filter made of the unit's own lines
stand for it. What a line of the unit means is in SANDBOX; a line that is not there is an error.
"""

import json
import os
import re
import subprocess
import sys

import pytest
from node import CONTRIB, HERE
from processes import Gradwatch, Process

UNIT = CONTRIB / "systemd/gradwatch.service"

# What bubblewrap is given for a line of the unit. None: its file systems, see sandbox().
SANDBOX = {
    "ProtectHome=yes": ["--tmpfs", "/home", "--tmpfs", "/root"],
    "PrivateTmp=yes": ["--tmpfs", "/tmp", "--tmpfs", "/var/tmp"],
    "PrivateDevices=yes": ["--dev", "/dev"],
    "RemoveIPC=yes": [],
}


@pytest.fixture(scope="module")
def call_filter(tmp_path_factory):
    path = tmp_path_factory.mktemp("filter") / "filter.bpf"
    with open(path, "wb") as out:
        argv = ["/usr/bin/python3", HERE / "make_filter.py", UNIT]
        subprocess.run(argv, check=True, stdout=out)
    return path


def without_admin(capabilities):
    return [name for name in capabilities if name != "CAP_SYS_ADMIN"]


@pytest.fixture
def sandboxed(binary, call_filter, tmp_path):
    """Starts gradwatch as the unit would; the folder of its log is what it can write to."""
    (tmp_path / "log").mkdir(mode=0o750)
    (tmp_path / "run").mkdir(mode=0o755)
    filters = []

    def start(*arguments, choose=list):
        text = UNIT.read_text()
        named = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE).group(1).split()
        filters.append(os.open(call_filter, os.O_RDONLY))
        argv = ["bwrap", "--die-with-parent", "--ro-bind", "/", "/"]
        for line, options in SANDBOX.items():
            assert line in text.splitlines() or line == "RemoveIPC=yes", line
            argv += options
        argv += ["--ro-bind", str(binary), "/usr/sbin/gradwatch"]
        argv += ["--bind", str(tmp_path / "log"), "/var/log/gradwatch"]
        argv += ["--bind", str(tmp_path / "run"), "/run/gradwatch"]
        argv += ["--cap-drop", "ALL"]
        for name in choose(named):
            argv += ["--cap-add", name]
        argv += ["--seccomp", str(filters[-1]), "/usr/sbin/gradwatch"]
        return argv, filters[-1]

    yield start
    for each in filters:
        os.close(each)
