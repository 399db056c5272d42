# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit that is shipped: how far it is closed, and in a booted systemd what it does.

systemd-nspawn is a pid namespace of its own, in which gradwatch refuses to run, as pids there are
not the kernel's: a preloaded library hides that, and there is nothing to watch. The programs of
BPF are loaded there, under the unit's rights and filter of system calls. Watching under the same
rights is in test_sandbox.py.
"""

import re
import subprocess

import pytest
from node import CONTRIB, REPO, SHIM, Node
from services import eventually, free_port, get

UNIT = CONTRIB / "systemd/gradwatch.service"
CONF = CONTRIB / "systemd/gradwatch.conf"
HELD = "run/gradwatch-held"
STOP_SECONDS = 2


def exposure(unit):
    argv = ["systemd-analyze", "security", "--offline=true", unit]
    run = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(re.search(r"exposure level for \S+: ([0-9.]+)", run.stdout).group(1))


def test_exposure(tmp_path):
    assert exposure(UNIT) <= 3.0
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text())
    folder = tmp_path / "gradwatch.service.d"
    folder.mkdir()
    assert (before := exposure(unit)) == exposure(UNIT)
    (folder / "10.conf").write_text((CONTRIB / "systemd/without-sys-admin.conf").read_text())
    assert exposure(unit) <= 2.6 < before


def test_configuration_is_accepted(binary, tmp_path):
    """As it is shipped, and with all that it has in comments, on a machine that has these."""

    def check(path):
        argv = [binary, "--config", path, "--check-config"]
        return subprocess.run(argv, capture_output=True, text=True)

    assert check(CONF).returncode == 0, check(CONF).stderr
    text = CONF.read_text()
    settings = re.findall(r"^#([a-z-]+(?: = .*)?)$", text, re.MULTILINE)
    assert len(settings) >= 12
    whole = re.sub(r"^#(?=[a-z])", "", text, flags=re.MULTILINE)
    whole = whole.replace("user = researcher", "user = root")
    (tmp_path / "accepted").write_text("a * * *\n")
    (tmp_path / "conf").write_text(whole.replace("/etc/gradwatch/accepted", f"{tmp_path}/accepted"))
    assert check(tmp_path / "conf").returncode == 0, check(tmp_path / "conf").stderr


@pytest.fixture(scope="module")
def node(binary, tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("node"), binary)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def stopped(request):
    yield
    if "node" in request.fixturenames:
        node = request.getfixturevalue("node")
        node.run("systemctl", "stop", "gradwatch")
        node.run("systemctl", "reset-failed", "gradwatch")
        node.configure("")


def started(node):
    """Starts it; its pid inside."""
    node.systemctl("start", "gradwatch")
    assert node.show("ActiveState") == "active"
    return int(node.show("MainPID"))


def test_unit_is_correct(node):
    path = "/usr/lib/systemd/system/gradwatch.service"
    run = node.run("systemd-analyze", "verify", path, check=True)
    assert run.stdout + run.stderr == ""


def test_ready_when_gradwatch_says_so(node):
    node.run("touch", f"/{HELD}", check=True)
    node.systemctl("start", "--no-block", "gradwatch")
    pid = eventually(lambda: int(node.show("MainPID")))
    name = lambda: node.run("cat", f"/proc/{pid}/comm").stdout.strip()  # noqa: E731
    eventually(lambda: name() == "gradwatch")
    assert node.show("ActiveState") == "activating"
    node.run("rm", f"/{HELD}", check=True)
    eventually(lambda: node.show("ActiveState") == "active")
    assert re.search(r"\d+ processes watched", eventually(lambda: node.show("StatusText")))


def test_rights_are_those_of_the_unit(node):
    pid = started(node)
    text = node.run("cat", f"/proc/{pid}/status", check=True).stdout
    assert re.search(r"^NoNewPrivs:\t1$", text, re.MULTILINE)
    assert re.search(r"^Seccomp:\t2$", text, re.MULTILINE)
    wanted = re.search(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE).group(1)
    bounding = re.search(r"^CapBnd:\t(\w+)$", text, re.MULTILINE).group(1)
    names = subprocess.run(["capsh", f"--decode={bounding}"], capture_output=True, text=True)
    assert set(names.stdout.strip().split("=")[1].upper().split(",")) == set(wanted.split())


def test_status_and_log(node):
    pid = started(node)
    run = node.run("gradwatch", "status", "--json", check=True)
    assert f'"pid":{pid},' in run.stdout.replace(" ", "")
    node.systemctl("stop", "gradwatch")
    run = node.run("gradwatch", "verify", "/var/log/gradwatch", check=True)
    mode = node.run("stat", "-c", "%a %U", "/var/log/gradwatch", check=True).stdout.split()
    assert mode == ["750", "root"]


def test_reload(node):
    pid = started(node)
    node.configure("comm = python*\n")
    node.systemctl("reload", "gradwatch")
    eventually(lambda: "the configuration is read again" in node.journal())
    eventually(lambda: node.show("ActiveState") == "active")
    assert int(node.show("MainPID")) == pid


def test_wrong_configuration(node):
    """The reload fails and says where; the service goes on, also when it gets the signal itself."""
    pid = started(node)
    node.configure("foo = bar\n")
    assert node.run("systemctl", "reload", "gradwatch").returncode != 0
    eventually(lambda: "'foo' is no option" in node.journal())
    journal = node.journal()
    assert re.search(r"/etc/gradwatch/gradwatch\.conf:\d+: 'foo' is no option", journal)
    assert "what was read before stays in force" not in journal
    node.systemctl("kill", "--kill-who=main", "--signal=HUP", "gradwatch")
    eventually(lambda: "what was read before stays in force" in node.journal())
    assert node.show("ActiveState") == "active"
    assert int(node.show("MainPID")) == pid


def test_wrong_start_is_not_repeated(node):
    node.configure("foo = bar\n")
    assert node.run("systemctl", "start", "gradwatch").returncode != 0
    eventually(lambda: node.show("ActiveState") == "failed")
    assert node.show("NRestarts") == "0"
    assert node.show("ExecMainStatus") == "2"


def test_watchdog(node):
    """What hangs is ended by systemd, and started again."""
    node.drop_in("watchdog", "WatchdogSec=3\nTimeoutAbortSec=10\nRestartSec=0")
    node.systemctl("daemon-reload")
    pid = started(node)
    node.systemctl("kill", "--kill-who=main", "--signal=STOP", "gradwatch")
    eventually(lambda: "Watchdog timeout" in node.journal())
    eventually(lambda: node.show("NRestarts") == "1" and node.show("ActiveState") == "active")
    assert int(node.show("MainPID")) != pid
    (node.root / "etc/systemd/system/gradwatch.service.d/watchdog.conf").unlink()
    node.systemctl("daemon-reload")


def test_stop(node):
    started(node)
    node.systemctl("stop", "gradwatch")
    assert node.show("Result") == "success"
    end = int(node.show("InactiveEnterTimestampMonotonic"))
    begin = int(node.show("ActiveExitTimestampMonotonic"))
    assert end - begin < STOP_SECONDS * 1_000_000
    assert "ledger: 0 hits" in node.journal()
    assert node.run("test", "-e", "/run/gradwatch/gradwatch.sock").returncode != 0


def test_readme(node):
    """The operator's commands, one after the other; the first one has installed this node."""
    text = (REPO / "README.md").read_text()
    block = text.split("from the package to an alert in ten minutes\n\n", 1)[1].split("\n\n")[0]
    commands = re.findall(r"^    sudo (.*?)(?: +#.*)?$", block, re.MULTILINE)
    assert len(commands) == 7 and commands[0] == "make install PREFIX=/usr"
    for command in commands[1:]:
        node.run("env", f"LD_PRELOAD={SHIM}", "sh", "-c", command, check=True)
    assert node.systemctl("is-enabled", "gradwatch").strip() == "enabled"
    metrics = node.root / "etc/gradwatch/gradwatch.conf.d/metrics.conf"
    metrics.parent.mkdir()
    port = free_port()  # the network is the host's
    metrics.write_text(f"metrics = 127.0.0.1:{port}\n")
    node.systemctl("restart", "gradwatch")
    metrics.unlink()
    assert "gradwatch_ready 1" in get(f"http://127.0.0.1:{port}/metrics")
