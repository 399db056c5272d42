# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the filter of system calls that a unit asks for, as a BPF program, to standard output.

Run by the python3 that has Debian's python3-seccomp: make_filter.py UNIT
"""

import pathlib
import re
import subprocess
import sys

import seccomp


def members(name):
    """The calls of a set of systemd, of those in it too."""
    argv = ["systemd-analyze", "syscall-filter", name]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = set()
    for word in re.findall(r"^ +([@a-z0-9_-]+)$", text, re.MULTILINE):
        found |= members(word) if word.startswith("@") else {word}
    return found


def allowed(lines):
    """What is left of the unit's lines, in their order."""
    calls = members("@default")
    for line in lines:
        chosen = set()
        for word in line.lstrip("~").split():
            chosen |= members(word) if word.startswith("@") else {word}
        calls = calls - chosen if line.startswith("~") else calls | chosen
    return calls


def main(unit):
    text = pathlib.Path(unit).read_text()
    calls = allowed(re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE))
    made = seccomp.SyscallFilter(seccomp.ERRNO(1))
    for name in sorted(calls):
        if seccomp.resolve_syscall(seccomp.Arch(), name) >= 0:
            made.add_rule(seccomp.ALLOW, name)
    made.export_bpf(sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
