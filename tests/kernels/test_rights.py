# SPDX-License-Identifier: GPL-2.0-or-later
"""In a guest: what an administrator may forbid. It works, or one line names the cause and the fix.

The settings are those of a machine of its own: never run this on one that is used. The tests build
on each other: the kernel is locked down more and more.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

import processes  # noqa: E402

GRADWATCH = os.environ["GRADWATCH_BINARY"]
PARANOID = pathlib.Path("/proc/sys/kernel/perf_event_paranoid")
LOCKDOWN = pathlib.Path("/sys/kernel/security/lockdown")
RIGHTS = "+bpf,+perfmon,+sys_ptrace,+dac_read_search"
STANDIN = os.environ["GRADWATCH_STANDIN"] + "/keyed/libc10.so"

# Loads the library, and when told so enters a trace and changes the mode.
PROGRAM = f"""
import ctypes
class ProxyTorchDispatchMode: pass
library = ctypes.PyDLL({STANDIN!r})
input()
library.standin_push.argtypes = [ctypes.py_object, ctypes.c_int]
library.standin_push(ProxyTorchDispatchMode(), 1)
library._ZN3c108GradMode11set_enabledEb(0)
"""


def watch(prefix=(), command=()):
    """Exit status and lines of a run that must find one violation if it works."""
    argv = [
        *prefix,
        GRADWATCH,
        *("--json", "--output", "-"),
        "--fail",
        "--",
        *command,
        "/usr/bin/python3",
        "-c",
        PROGRAM,
    ]
    run = processes.Process(list(map(str, argv)))
    while (line := run.line()) is not None:
        if line and json.loads(line)["type"] == "attached":
            run.send("")
            run.rest()
            break
    return run.wait(), run.stderr.splitlines()


def check_works(**how):
    status, lines = watch(**how)
    assert status == 3, lines
    assert any("1 violation" in line for line in lines)


def check_refused(status, lines, *words):
    assert status == 2
    (line,) = lines
    assert line.startswith("gradwatch: error: ")
    assert all(word in line for word in words), line


def test_settings():
    """root is not concerned by what is forbidden to others."""
    pathlib.Path("/proc/sys/kernel/unprivileged_bpf_disabled").write_text("2\n")
    PARANOID.write_text("3\n")
    check_works()


def test_seccomp():
    """The target may not make system calls that uprobes could seem to need, and need not."""
    program = pathlib.Path(__file__).parents[1] / "programs" / "seccomp.py"
    check_works(command=["/usr/bin/python3", program])


def has_uprobe_multi():
    """Whether it has the link (6.6). uprobes as perf events ask for CAP_SYS_ADMIN."""
    doctor = subprocess.run([GRADWATCH, "doctor"], stdout=subprocess.PIPE, text=True)
    return "uprobe_multi: yes" in doctor.stdout


def test_without_root(record_property):
    """Four capabilities are enough with uprobe_multi, if perf_event_paranoid lets them be."""
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    rights = [*drop, f"--inh-caps={RIGHTS}", f"--ambient-caps={RIGHTS}"]
    PARANOID.write_text("3\n")
    status, lines = watch(rights)
    cause = "perf_event_paranoid" if has_uprobe_multi() else "missing capability"
    check_refused(status, lines, "CAP_SYS_ADMIN", "run as root", cause)
    PARANOID.write_text("2\n")
    status, lines = watch(rights)
    record_property("answer", "works" if status == 3 else lines[-1])
    if has_uprobe_multi():
        assert status == 3, lines
    else:
        check_refused(status, lines, "CAP_SYS_ADMIN", "run as root")
    status, lines = watch(drop)
    check_refused(status, lines, "CAP_BPF", "run as root")


@pytest.mark.parametrize("mode", ["integrity", "confidentiality"])
def test_lockdown(mode, record_property):
    LOCKDOWN.write_text(mode)
    assert f"[{mode}]" in LOCKDOWN.read_text()
    status, lines = watch()
    record_property("answer", "works" if status == 3 else lines[-1])
    if status != 3:
        assert mode == "confidentiality", lines
        check_refused(status, lines, "locked down", "lockdown=integrity")
