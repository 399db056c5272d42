# SPDX-License-Identifier: GPL-2.0-or-later
"""Real containers of runc, in cgroups as other runtimes make them: findings name them."""

import contextlib
import json
import subprocess
import uuid
from pathlib import Path

import pytest
from processes import Puppet
from targets import PROGRAMS

CGROUPS = Path("/sys/fs/cgroup")
ID = "4f" * 32
POD = "5cd0b1f2-0a4e-4c53-9d6f-2f1f7f7c3b11"

# What a runtime asks runc for, and what is to be read of it.
PATHS = {
    "docker": (f"/docker/{ID}", "docker", None),
    "podman": (f"/libpod_parent/libpod-{ID}", "podman", None),
    "cri-o": (f"/kubepods/burstable/pod{POD}/crio-{ID}", "cri-o", POD),
    "kubelet": (f"/kubepods/besteffort/pod{POD}/{ID}", None, POD),
}


class Container(Puppet):
    """A puppet (tests/programs/puppet.py) in a container of runc."""

    def __init__(self, target, folder, name, cgroup):
        self.name = name
        subprocess.run(["runc", "spec", "--bundle", folder], check=True)
        spec = json.loads((folder / "config.json").read_text())
        spec["process"] |= {
            "terminal": False,
            "args": [target.python(), "/mnt/programs/puppet.py"],
            "env": ["PATH=/usr/bin:/bin", "OMP_NUM_THREADS=1", "PYTHONDONTWRITEBYTECODE=1"],
        }
        del spec["process"]["rlimits"]  # may not be raised everywhere
        spec["linux"] |= {"cgroupsPath": cgroup, "resources": {}}
        spec["root"]["readonly"] = False
        spec["mounts"].append(bind(PROGRAMS, "/mnt/programs"))
        if not target.in_root:
            spec["mounts"].append(bind(target.directory, str(target.directory)))
        (folder / "config.json").write_text(json.dumps(spec))
        super().__init__(["runc", "run", "--bundle", str(folder), self.name])

    def pid_of_init(self):
        """Its pid on the host."""
        state = subprocess.run(["runc", "state", self.name], capture_output=True, check=True)
        return json.loads(state.stdout)["pid"]


@pytest.fixture
def container(any_target, bundle):
    """Starts one, whose cgroups have the path that a runtime gives them."""
    name = f"gradwatch-{uuid.uuid4()}"
    paths = []

    def start(cgroup):
        paths.append(cgroup)
        return Container(any_target, bundle, name, cgroup)

    yield start
    subprocess.run(["runc", "delete", "--force", name], check=True)
    for path in paths:
        remove_groups(path)


def remove_groups(cgroup):
    """The folders above runc's own, unless somebody else is in them."""
    for hierarchy in [CGROUPS, *CGROUPS.iterdir()]:
        folder = hierarchy / cgroup.lstrip("/")
        while (folder := folder.parent) != hierarchy:
            with contextlib.suppress(OSError):
                folder.rmdir()


@pytest.fixture
def bundle(any_target, tmp_path):
    """A folder with the target's files in rootfs, as an overlay: what is written there goes."""
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    for name in ("upper", "work", "rootfs"):
        (tmp_path / name).mkdir()
    lower = any_target.directory if any_target.in_root else "/"
    options = f"lowerdir={lower},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    rootfs = tmp_path / "rootfs"
    subprocess.run(["mount", "-t", "overlay", "none", "-o", options, rootfs], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", rootfs, tmp_path], check=True)


def bind(path, inside):
    return {"destination": inside, "type": "bind", "source": str(path), "options": ["rbind", "ro"]}


@pytest.mark.parametrize("runtime", PATHS)
def test_container_is_named(container, gradwatch, runtime):
    cgroup, name, pod = PATHS[runtime]
    puppet = container(cgroup)
    monitor = gradwatch("--all").armed()
    puppet.run("trace", "block no_grad", "operator", "end", "end")
    pid = puppet.pid_of_init()
    finding = monitor.wait_for(lambda event: event["type"] == "finding" and event["pid"] == pid)
    assert finding["ns_pid"] == 1
    assert finding["cgroup"].endswith(cgroup)
    assert finding["container"] == {"id": ID, "runtime": name, "pod_uid": pod}
    assert finding["unit"] is None
    attached = monitor.of_type("attached")
    assert [event["container"] for event in attached if event["pid"] == pid] == [
        finding["container"]
    ]
