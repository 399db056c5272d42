# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel or the place lacks: one line with the cause and the fix, exit status 2."""

import subprocess

import pytest

# What to do in a mount namespace of its own before gradwatch is started there; what it must say.
HIDDEN = {
    "BTF": ("mount -t tmpfs none /sys/kernel/btf", "CONFIG_DEBUG_INFO_BTF"),
    "uprobes": ("mount -t tmpfs none /sys/bus/event_source", "CONFIG_UPROBE_EVENTS"),
}


def run(binary, arguments, *prefix):
    return subprocess.run(
        [*prefix, str(binary), *arguments], capture_output=True, text=True, timeout=60
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
