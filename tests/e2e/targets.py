# SPDX-License-Identifier: GPL-2.0-or-later
"""The PyTorch installations that tests run programs on: tests/targets/make.sh makes them."""

import os
import pathlib
import re
import subprocess

REPO = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = REPO / "tests" / "programs"
MAKE = REPO / "tests" / "targets" / "make.sh"
DEFAULT = "wheel-2.13.0"

# Becomes its last arguments inside the root given first, in a mount namespace of its own: the pid
# stays, nothing is left behind. What the tests bring along is mounted on a tmpfs on /mnt.
ENTER_ROOT = """
root=$1 programs=$2 tmp=$3; shift 3
mount -t tmpfs tmpfs "$root/mnt" && mkdir "$root/mnt/programs" "$root/mnt/tmp" &&
mount --bind "$programs" "$root/mnt/programs" && mount --bind "$tmp" "$root/mnt/tmp" &&
mount --rbind /proc "$root/proc" && mount --rbind /dev "$root/dev" &&
exec chroot "$root" "$@"
"""


def chosen():
    """Names of the targets to run on."""
    names = os.environ.get("GRADWATCH_TARGETS", "") or DEFAULT
    return [name for name in re.split(r"[,\s]+", names) if name]


class Target:
    """One installation. Commands are run on it by the argv that command() makes."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = pathlib.Path(directory)
        self.in_root = name.startswith("debian-")
        self.version = tuple(int(part) for part in name.split("-")[1].split("."))
        self.keyed = self.version >= (2, 2)  # builds with slots for modes

    def command(self, tmp, program, *arguments, environment=None):
        """What runs a program of tests/programs; tmp is a folder that it can write to."""
        # By env, so that nothing before the program gets the additional variables.
        more = [f"{name}={value}" for name, value in (environment or {}).items()]
        inside = ["env", *more, self.python()] if more else [self.python()]
        if not self.in_root:
            return [*inside, str(PROGRAMS / program), *arguments]
        return self.wrap(tmp, [*inside, f"/mnt/programs/{program}", *arguments])

    def python(self):
        """The interpreter, as processes of the target see it."""
        return "/usr/bin/python3" if self.in_root else str(self.directory / "bin" / "python3")

    def wrap(self, tmp, argv):
        """What runs a command of the target."""
        if not self.in_root:
            return argv
        root = [str(self.directory), str(PROGRAMS), str(tmp)]
        return ["unshare", "--mount", "sh", "-c", ENTER_ROOT, "enter-root", *root, *argv]

    def path(self, path):
        """A file in a tmp folder, as processes of the target see it."""
        return f"/mnt/tmp/{path.name}" if self.in_root else str(path)

    def libc10(self):
        """The library that gradwatch probes, from outside."""
        found = [path.resolve() for path in self.directory.rglob("torch/lib/libc10.so")]
        if self.in_root:  # absolute symbolic links lead out of the root
            found = [path for path in self.directory.rglob("libc10.so.*") if not path.is_symlink()]
        assert found, f"no libc10.so in {self.directory}"
        return found[0]


def make(name):
    """Makes the target if need be; installed-VERSION is what this machine's own python3 has."""
    if name.startswith("installed-"):
        return Target(name, "/usr")
    line = subprocess.run(
        [str(MAKE), name], check=True, stdout=subprocess.PIPE, text=True, timeout=3600
    ).stdout
    return Target(*line.strip().split("\t"))
