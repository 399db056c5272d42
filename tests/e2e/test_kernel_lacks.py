# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel or the place lacks: one line with the cause and the fix, exit status 2."""

import pathlib
import re
import subprocess
import sys

import pytest
import targets

# What to do in a mount namespace of its own before gradwatch is started there; what it must say.
HIDE_UPROBES = "mount -t tmpfs none /sys/bus/event_source"
HIDDEN = {
    "BTF": ("mount -t tmpfs none /sys/kernel/btf", "--btf FILE"),
    "uprobes": (HIDE_UPROBES, "CONFIG_UPROBE_EVENTS"),
    # libbpf would place probes by tracefs then; watching refuses, so doctor must say so.
    "uprobes, with tracefs": (
        f"{HIDE_UPROBES} && mount -t tracefs none /sys/kernel/tracing",
        "CONFIG_UPROBE_EVENTS",
    ),
}


def run(binary, arguments, *prefix):
    return subprocess.run(
        [*prefix, str(binary), *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def hide(what):
    return ["unshare", "--mount", "sh", "-c", f'{HIDDEN[what][0]} && exec "$@"', "hide"]


@pytest.mark.parametrize("what", HIDDEN)
def test_watching_without(binary, what):
    result = run(binary, ["--all"], *hide(what))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("gradwatch: error: ") and HIDDEN[what][1] in line


@pytest.mark.parametrize("what", HIDDEN)
def test_doctor_without(binary, what):
    result = run(binary, ["doctor"], *hide(what))
    assert result.returncode == 2
    failed = [line for line in result.stdout.splitlines() if " FAILED " in line]
    assert failed and any(HIDDEN[what][1] in line for line in failed)


def test_in_a_pid_namespace(binary):
    """There a pid would name a stranger of the host's."""
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    result = run(binary, ["--pid", "1"], *inside)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "--pid=host" in line
    assert run(binary, ["doctor"], *inside).returncode == 2


def test_here_all_is_well(binary):
    result = run(binary, ["doctor"])
    assert result.returncode == 0, result.stdout
    assert " FAILED " not in result.stdout


def test_types_from_a_file(binary, tmp_path):
    """A kernel without BTF works with a copy of its types; what is none is refused."""
    types = tmp_path / "types"
    types.write_bytes(pathlib.Path("/sys/kernel/btf/vmlinux").read_bytes())
    result = run(binary, ["doctor", "--btf", types], *hide("BTF"))
    assert result.returncode == 0, result.stdout
    assert str(types) in result.stdout
    assert run(binary, ["--btf", types, "--", "true"], *hide("BTF")).returncode == 0
    types.write_bytes(b"\x9f\xeb\x01\x00" + b"\xff" * 64)
    for wrong in (types, tmp_path / "nothing"):
        result = run(binary, ["--btf", wrong, "--all"])
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert "--btf" in line and str(wrong) in line


def test_older_than_any_that_works(binary):
    """What goes wrong on an old kernel goes wrong since it is old."""
    result = run(binary, ["--all"], "setarch", "--uname-2.6", *hide("BTF"))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert re.search(r"kernel 2\.6\.\S+ is older than 5\.10", line)


def test_without_bpf(binary):
    """bpf(2) as a kernel without CONFIG_BPF_SYSCALL has it."""
    inside = [sys.executable, str(targets.PROGRAMS / "seccomp.py"), "no-bpf"]
    for arguments in (["--all"], ["--", "true"]):
        result = run(binary, arguments, *inside)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert "CONFIG_BPF_SYSCALL" in line
