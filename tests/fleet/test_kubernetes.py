# SPDX-License-Identifier: GPL-2.0-or-later
"""The DaemonSet: valid, and under its rights, in a real container, gradwatch sees the host.

There is no Kubernetes here. podman stands for its runtime: what the manifest asks for is given to
podman word by word, with the filter of system calls that containers have by default.
"""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import processes
import pytest
import yaml
from node import CONTRIB, HERE
from processes import Gradwatch
from services import free_port, get

MANIFEST = CONTRIB / "kubernetes/daemonset.yaml"
CGROUPS = Path("/sys/fs/cgroup")
POD, CONTAINER = "5cd0b1f2-0a4e-4c53-9d6f-2f1f7f7c3b11", "4f" * 32
POD_GROUP = f"/kubepods/besteffort/pod{POD}/{CONTAINER}"
CONTAINERFILE = CONTRIB / "container/Containerfile"


def validate(path):
    argv = [sys.executable, "-m", "kubernetes_validate", "--strict", path]
    return subprocess.run(argv, capture_output=True, text=True)


def daemon_set():
    objects = list(yaml.safe_load_all(MANIFEST.read_text()))
    assert [each["kind"] for each in objects] == ["Namespace", "ConfigMap", "DaemonSet"]
    return objects


def test_manifest_is_valid(tmp_path):
    assert validate(MANIFEST).returncode == 0, validate(MANIFEST).stderr
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(MANIFEST.read_text().replace("hostPID:", "hostPid:"))
    assert validate(wrong).returncode != 0


def test_manifest_asks_for_no_more():
    """The capabilities are the unit's, and nothing is privileged."""
    pod = daemon_set()[2]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    rights = container["securityContext"]
    unit = (CONTRIB / "systemd/gradwatch.service").read_text()
    named = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE).group(1).split()
    assert {f"CAP_{name}" for name in rights["capabilities"]["add"]} == set(named)
    assert rights["capabilities"]["drop"] == ["ALL"]
    assert "privileged" not in rights and rights["readOnlyRootFilesystem"]
    assert [volume["name"] for volume in pod["volumes"] if "hostPath" in volume] == ["log"]


def test_configuration_is_accepted(binary, tmp_path):
    (tmp_path / "conf").write_text(daemon_set()[1]["data"]["gradwatch.conf"])
    argv = [binary, "--config", tmp_path / "conf", "--check-config"]
    assert subprocess.run(argv).returncode == 0


def test_image_has_the_libraries(binary):
    """The packages of the image's last stage are those of the tests' root, where gradwatch runs."""
    last = CONTAINERFILE.read_text().split("FROM ")[-1]
    image = set(re.findall(r"\b(?:lib[a-z0-9-]*[0-9]|zlib1g)(?=\s)", last))
    root = re.search(r"^libraries=(.*)$", (HERE / "root.sh").read_text(), re.MULTILINE).group(1)
    assert image == set(root.split(","))


@pytest.fixture
def podman(tmp_path):
    """What runs podman with a storage of its own."""
    run = tempfile.mkdtemp(prefix="gw")  # its name may have 50 characters at most
    argv = ["podman", "--runtime=runc", f"--root={tmp_path}/storage", f"--runroot={run}"]
    argv += ["--cgroup-manager=cgroupfs", "--events-backend=none"]
    name = f"gradwatch-{tmp_path.name.lower().replace('_', '-')}"
    yield argv, name
    subprocess.run([*argv, "rm", "--force", "--ignore", name], check=True, capture_output=True)
    subprocess.run(["umount", "--lazy", f"{tmp_path}/storage/overlay"], capture_output=True)
    shutil.rmtree(run, ignore_errors=True)


def as_asked(binary, tmp_path, without):
    """The manifest's words as podman's."""
    pod = daemon_set()[2]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    rights = container["securityContext"]
    root = subprocess.run([HERE / "root.sh"], check=True, capture_output=True, text=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/gradwatch.conf").write_text(daemon_set()[1]["data"]["gradwatch.conf"])
    (tmp_path / "log").mkdir()
    argv = ["--rm", "--cgroupns=private", "--cap-drop=ALL", "--log-driver=none"]
    argv += ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]  # may not be raised here
    argv += [f"--cap-add={name}" for name in rights["capabilities"]["add"] if name != without]
    if without == "SYS_ADMIN":  # Debian's profile knows no CAP_BPF; the manifest says so
        argv += ["--security-opt=seccomp=unconfined"]
    argv += ["--pid=host"] * pod["hostPID"] + ["--network=host"] * pod["hostNetwork"]
    argv += ["--read-only"] * rights["readOnlyRootFilesystem"]
    argv += [f"--volume={binary}:/usr/sbin/gradwatch:ro"]
    argv += [f"--volume={tmp_path}/etc:/etc/gradwatch:ro"]
    argv += [f"--volume={tmp_path}/log:/var/log/gradwatch", "--tmpfs=/run/gradwatch"]
    return [*argv, "--rootfs", f"{root.stdout.strip()}:O"], container["args"]


@pytest.fixture
def into_pod():
    """Puts a process into control groups as the kubelet makes them."""
    mounted = [CGROUPS, CGROUPS / "pids", CGROUPS / "unified"]  # of cgroup v2, v1, both
    root = next(each for each in mounted if (each / "cgroup.procs").exists())
    group = root / POD_GROUP.lstrip("/")

    def put(pid):
        group.mkdir(parents=True)
        (group / "cgroup.procs").write_text(str(pid))

    yield put
    processes.kill_all()
    while group != root:
        with contextlib.suppress(OSError):  # somebody else may be in those above
            group.rmdir()
        group = group.parent


@pytest.mark.parametrize("without", [None, "SYS_ADMIN"])
def test_container_sees_the_host(binary, puppet, into_pod, podman, tmp_path, without):
    """Also without the one that may be left out; then paths of cgroups count from its own."""
    argv, name = podman
    options, arguments = as_asked(binary, tmp_path, without)
    port = free_port()
    arguments = [each.replace("$(NODE_IP):9465", f"127.0.0.1:{port}") for each in arguments]
    program = puppet()
    into_pod(program.pid)
    run = [*argv[1:], "run", "--name", name, *options, "/usr/sbin/gradwatch", "--json"]
    monitor = Gradwatch(argv[0], *run, *arguments, json_lines=False).armed()
    program.run("trace", "block no_grad", "operator", "end", "end")
    found = monitor.wait_for(lambda e: e["type"] == "finding" and e["pid"] == program.pid)
    assert found["severity"] == "violation" and found["stack_status"] == "whole"
    assert found["container"] == {"id": CONTAINER, "runtime": None, "pod_uid": POD}
    if without:
        assert found["cgroup"].startswith("/../") and found["cgroup"].endswith(CONTAINER)
        assert "cgroup paths count from this container's" in monitor.stderr
    else:
        assert found["cgroup"] == POD_GROUP, monitor.stderr
    inside = [*argv, "exec", name, "gradwatch", "status", "--json"]
    status = json.loads(subprocess.run(inside, capture_output=True, check=True).stdout)
    assert program.pid in [row["pid"] for row in status["table"]]
    assert "gradwatch_ready 1" in get(f"http://127.0.0.1:{port}/metrics")
    subprocess.run([*argv, "kill", f"--signal={signal.SIGTERM.name}", name], check=True)
    monitor.finish()
    assert subprocess.run([binary, "verify", tmp_path / "log"]).returncode == 0
