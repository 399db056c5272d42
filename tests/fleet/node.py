# SPDX-License-Identifier: GPL-2.0-or-later
"""A booted systemd in systemd-nspawn, on a Debian root that is thrown away afterwards."""

import os
import pathlib
import shutil
import subprocess

from processes import DEADLINE
from services import eventually

REPO = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent
CONTRIB = REPO / "contrib"
GRANTED = "CAP_BPF,CAP_PERFMON,CAP_CHECKPOINT_RESTORE"  # beside what nspawn gives
SHIM = "/usr/lib/gradwatch_shim.so"
CALLS = ("bpf", "perf_event_open")
STATES = ("running", "degraded")


class Node:
    def __init__(self, folder, binary):
        self.folder = folder
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        self.root = folder / "root"
        made = subprocess.run([HERE / "root.sh"], check=True, stdout=subprocess.PIPE, text=True)
        options = f"lowerdir={made.stdout.strip()},upperdir={folder}/upper,workdir={folder}/work"
        subprocess.run(["mount", "-t", "overlay", "none", "-o", options, self.root], check=True)
        self.install(binary)
        self.boot()

    def install(self, binary):
        """As an operator does it."""
        argv = ["make", "-s", "-C", REPO, "install", f"DESTDIR={self.root}", "PREFIX=/usr"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        shutil.copy(binary, self.root / "usr/sbin/gradwatch")
        shim = self.root / SHIM.lstrip("/")
        argv = ["gcc", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC"]
        subprocess.run([*argv, HERE / "namespace_shim.c", "-o", shim, "-ldl"], check=True)
        self.drop_in("shim", f"Environment=LD_PRELOAD={SHIM}")

    def drop_in(self, name, text):
        path = self.root / f"etc/systemd/system/gradwatch.service.d/{name}.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[Service]\n{text}\n")

    def boot(self):
        argv = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"]
        argv += ["--link-journal=no", f"--machine=gw{os.getpid()}", f"--directory={self.root}"]
        argv += [f"--capability={GRANTED}", *(f"--system-call-filter={each}" for each in CALLS)]
        with open(self.folder / "console", "wb") as console:
            self.nspawn = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
            )
        self.init = eventually(self.find_init)
        eventually(lambda: self.run("systemctl", "is-system-running").stdout.strip() in STATES)

    def find_init(self):
        """The pid of its systemd: the child of systemd-nspawn."""
        assert self.nspawn.poll() is None, (self.folder / "console").read_text()
        tasks = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        children = tasks.read_text().split()
        names = {pid: pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in children}
        return next((pid for pid, name in names.items() if name == "systemd"), None)

    def run(self, *argv, check=False):
        """A command inside."""
        enter = ["nsenter", f"--target={self.init}", "--all", "--"]
        result = subprocess.run(
            [*enter, *argv], capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert not check or result.returncode == 0, (argv, result, self.journal())
        return result

    def systemctl(self, *arguments):
        return self.run("systemctl", *arguments, check=True).stdout

    def show(self, name):
        """A property of the service."""
        return self.systemctl("show", "--value", "--property", name, "gradwatch").strip()

    def journal(self):
        """What gradwatch and systemd said about it."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", "gradwatch").stdout

    def configure(self, text):
        """The configuration that is shipped, and more."""
        shipped = (CONTRIB / "systemd/gradwatch.conf").read_text()
        (self.root / "etc/gradwatch/gradwatch.conf").write_text(shipped + text)

    def close(self):
        self.nspawn.terminate()
        try:
            self.nspawn.wait(30)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        subprocess.run(["umount", "--lazy", self.root, self.folder], check=True)
