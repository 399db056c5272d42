# SPDX-License-Identifier: GPL-2.0-or-later
"""In whom gradwatch acts, and where it cannot."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from enforcing import actions, watch
from processes import Gradwatch, Process


def test_traced_by_another(enforced, gradwatch):
    """strace has it: refused, and the fallback is taken."""
    assert shutil.which("strace"), "strace is needed: tools/deps.sh test"
    strace = ["strace", "-f", "-qq", "-e", "trace=none", "-o", "/dev/null"]
    process = enforced("many", 3, wrapper=strace)
    (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    monitor = gradwatch(
        "--pid", pid, "--on-violation", "raise", "--enforce-kinds", "make_fx", "--rate", 0
    ).armed()
    process.go()
    assert [one["error"] for one in process.attempts()] == [""] * 3
    assert process.wait() == 0
    monitor.finish()
    assert len(actions(monitor, "refused")) == len(actions(monitor)) == 3
    for event in actions(monitor):
        assert event["fallback"] == "report"
        assert event["detail"] == f"process {process.pid} traces it already"
    assert len(monitor.violations) == 6


def test_traced_by_another_and_killed(enforced, gradwatch):
    strace = ["strace", "-f", "-qq", "-e", "trace=none", "-o", "/dev/null"]
    process = enforced("many", 3, wrapper=strace)
    (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    options = ("--on-violation", "raise", "--fallback", "kill", "--enforce-kinds", "make_fx")
    monitor = gradwatch("--pid", pid, *options).armed()
    process.go()
    process.wait()
    monitor.finish()
    outcomes = [(event["action"], event["outcome"]) for event in actions(monitor)]
    assert outcomes == [("raise", "refused"), ("kill", "performed")]


def test_pid_1_of_a_namespace(enforced, gradwatch):
    """As in a container: SIGTERM does nothing to it, an exception does."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    for action, raised in (("raise", "RuntimeError"), ("signal:TERM", "")):
        process = enforced("many", 2, wrapper=unshare)
        (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        options = ("--enforce-kinds", "make_fx", "--on-violation", action)
        monitor = gradwatch("--pid", pid, *options).armed()
        process.go()
        assert [one["error"] for one in process.attempts()] == [raised] * 2
        process.wait()
        monitor.finish()
        outcome = "performed" if raised else "too_late"
        assert [event["outcome"] for event in actions(monitor)] == [outcome] * 2
        if not raised:
            assert "PID 1" in actions(monitor)[0]["detail"]


def test_seccomp(any_target, enforced, gradwatch, tmp_path):
    """A filter that kills on signals and tracing: what comes from outside it does not see."""
    process = enforced("many", 3, wrapper=[any_target.python(), str(SECCOMP)])
    monitor = watch(gradwatch, process, "--on-violation", "raise")
    process.go()
    assert [one["error"] for one in process.attempts()] == ["RuntimeError"] * 3
    assert process.wait() == 0
    monitor.finish()


SECCOMP = Path(__file__).resolve().parents[1] / "programs" / "seccomp.py"


def test_forked_child(puppet, gradwatch):
    """A child has its parent's libraries, and is acted in when it is followed."""
    process = puppet()
    options = ("--on-violation", "raise", "--enforce-kinds", "make_fx", "--follow")
    monitor = gradwatch("--pid", process.pid, *options).armed()
    process.tell("fork trace;set 0;operator;end")
    process.end()
    monitor.finish()
    performed = actions(monitor, "performed")
    assert performed and all(event["pid"] != process.pid for event in performed)


@pytest.mark.parametrize("follow", [True, False])
def test_children_that_exist(any_target, gradwatch, tmp_path, follow):
    """Children that were there before gradwatch are acted in if they are followed."""
    folder = tmp_path / "family"
    folder.mkdir()
    family = Process(any_target.command(tmp_path, "family.py", "tree", any_target.path(folder)))
    pids = {json.loads(family.line())["pid"] for _ in range(5)}
    options = ("--on-violation", "signal:USR1", "--enforce-kinds", "make_fx")
    option = "--follow" if follow else "--no-follow"
    monitor = gradwatch("--pid", family.pid, option, *options).armed()
    (folder / "go").touch()
    family.wait()
    monitor.finish()
    assert {event["pid"] for event in actions(monitor)} == (pids if follow else {family.pid})
    assert {event["outcome"] for event in actions(monitor)} == {"performed"}


def test_only_where_it_is_allowed(enforced, gradwatch):
    """--all acts in whom the list names, and watches the others."""
    name = f"u{os.getpid()}"
    ours, other = enforced("many", 2, env=dict(os.environ, NAME=name)), enforced("many", 2)
    options = ("--on-violation", "raise", "--enforce-kinds", "make_fx")
    monitor = gradwatch("--all", *options, "--enforce-command", name[:-1] + "?").armed()
    for process, error in ((ours, "RuntimeError"), (other, "")):
        process.go()
        assert [one["error"] for one in process.attempts()] == [error] * 2
        process.wait()
    monitor.stop()
    assert {event["pid"] for event in actions(monitor)} == {ours.pid}


@pytest.mark.parametrize(
    "user, raised", [("root", "RuntimeError"), ("0", "RuntimeError"), ("1", "")]
)
def test_only_for_a_user(enforced, gradwatch, user, raised):
    process = enforced("many", 2)
    monitor = watch(gradwatch, process, "--on-violation", "raise", "--enforce-user", user)
    process.go()
    assert [one["error"] for one in process.attempts()] == [raised] * 2
    process.wait()
    monitor.finish()
    assert len(actions(monitor)) == (2 if raised else 0)


def test_user_is_looked_up_once(any_target, binary, puppet, tmp_path):
    """
    At the start, as the user database may be on the network: a user who is deleted from it later is
    still the one who was meant.
    """
    users = tmp_path / "passwd"
    users.write_text(Path("/etc/passwd").read_text() + "gwmeant:x:0:0::/:/bin/sh\n")
    script = 'mount --bind "$0" /etc/passwd && exec "$@"'
    process = puppet("--bare")
    monitor = Gradwatch(
        "unshare",
        *("--mount", "sh", "-c", script, users, binary, "--json", "--pid", process.pid),
        *("--on-violation", "raise", "--enforce-kinds", "make_fx", "--enforce-user", "gwmeant"),
        json_lines=False,
    ).armed()
    with users.open("w") as file:  # in place: it is the one that is mounted
        file.write("root:x:0:0::/:/bin/sh\n")
    process.tell("load")
    monitor.wait_for("attached")
    process.send("loop 1")
    assert "RuntimeError" in process.answer()["error"]
    process.end()
    monitor.finish()
    assert actions(monitor, "performed")


def test_only_in_a_cgroup(enforced, gradwatch):
    process = enforced("many", 2)
    lines = Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()
    (path,) = [line[3:] for line in lines if line.startswith("0::")] or [None]
    options = ("--enforce-kinds", "make_fx", "--on-violation", "raise", "--enforce-cgroup")
    monitor = gradwatch("--pid", process.pid, "--rate", 0, *options, path or "/none")
    if not path:  # refused, as it could not match
        assert monitor.wait() == 2 and "no cgroup v2" in monitor.stderr
        return
    monitor.armed()
    process.go()
    assert [one["error"] for one in process.attempts()] == ["RuntimeError"] * 2
    process.wait()
    monitor.finish()


@pytest.fixture
def cgroup_v2():
    """The kernel shows processes their path in cgroup v2 once it has been mounted anywhere."""
    if "0::" not in Path("/proc/self/cgroup").read_text():
        pytest.skip("this machine has no cgroup v2")


@pytest.mark.parametrize("pattern", ["user.slice/*", ""])
def test_cgroup_that_cannot_be(binary, cgroup_v2, pattern):
    argv = [binary, "--pid", "1", "--on-violation", "kill", "--enforce-cgroup", pattern]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2 and "fits no process" in done.stderr, done


def test_without_cgroup_v2(binary, tmp_path):
    """As on a machine with cgroup v1 alone: told at once, with what to use in its place."""
    (tmp_path / "cgroup").write_text("12:memory:/\n1:name=systemd:/\n")
    script = 'mount --bind "$0" /proc/$$/cgroup && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", script, tmp_path / "cgroup", binary, "--pid", "1"]
    argv += ["--on-violation", "kill", "--enforce-cgroup", "/*"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2, done
    assert "no cgroup v2; use --enforce-user or --enforce-command" in done.stderr


def test_children_of_a_host(puppet, gradwatch):
    """--all: a forked child maps nothing new, and is acted in as its parent is."""
    name = f"h{os.getpid()}"
    process = puppet()
    process.run("name " + name.encode().hex())
    options = ("--on-violation", "raise", "--enforce-kinds", "make_fx")
    monitor = gradwatch("--all", *options, "--enforce-command", name).armed()
    process.tell("fork trace;set 0;operator;end")
    process.end()
    monitor.stop()
    performed = actions(monitor, "performed")
    assert performed and all(event["pid"] != process.pid for event in performed)


@pytest.mark.parametrize(
    "arguments, line",
    [
        (["--all", "--on-violation", "kill"], "say in which"),
        (["--pid", "1", "--on-violation", "explode"], "knows no 'explode'"),
        (["--pid", "1", "--on-violation", "signal:NONE"], "'NONE' is no signal"),
        (["--pid", "1", "--on-violation", "signal:STOP"], "'STOP' is no signal"),
        (["--pid", "1", "--on-violation", "hold", "--fallback", "kill"], "--fallback goes with"),
        (["--pid", "1", "--on-violation", "raise", "--fallback", "raise"], "cannot be raised"),
        (["--pid", "1", "--dry-run"], "--dry-run is for an action"),
        (["--pid", "1", "--hold-timeout", "0"], "--hold-timeout wants seconds"),
        (["--pid", "1", "--enforce-kinds", "some"], "--enforce-kinds knows no 'some'"),
        (["--pid", "1", "--enforce-user", "root"], "--enforce-user is for an action"),
        (
            ["--pid", "1", "--on-violation", "kill", "--enforce-user", "no-such-user"],
            "knows no user 'no-such-user'",
        ),
        (
            ["--pid", "1", "--on-violation", "kill", "--enforce-user", "4294967295"],
            "use a name that 'getent passwd' shows, or the number of a user",
        ),
        (
            ["--pid", "1", "--on-violation", "kill", "--enforce-command", "python3.11-export*"],
            "use 'python3.11-exp*'",
        ),
        (["--pid", "1", "--on-violation", "kill", "--enforce-command", ""], "fits no process"),
        (
            ["--pid", "1", "--on-violation", "kill", "--enforce-kinds", "pre_dispatch"],
            "nothing to act on",
        ),
    ],
)
def test_bad_use(binary, arguments, line):
    done = subprocess.run([binary, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert line in done.stderr and done.stderr.count("\n") == 1
