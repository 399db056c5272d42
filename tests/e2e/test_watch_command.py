# SPDX-License-Identifier: GPL-2.0-or-later
"""`-- CMD`: what the command gets, and what becomes of it."""

import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import time

import logs
import pytest
from watching import CHANGES_OF_SMALL

# A program for `-- CMD` that needs no PyTorch.
SHOW = """
import json, os, sys
print(json.dumps({
    "environment": os.environ.get("GRADWATCH_TEST"),
    "input": sys.stdin.read(),
    "arguments": sys.argv[1:],
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
    "blocked": [line for line in open("/proc/self/status") if line.startswith("SigBlk")],
    "files": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],
}))
sys.exit(7)
"""


def test_command_gets_what_it_would_get(gradwatch, tmp_path):
    monitor = gradwatch(
        "--",
        *(sys.executable, "-c", SHOW, "one", "--pid", "two words"),
        env={**os.environ, "GRADWATCH_TEST": "value"},
        stdin=subprocess.PIPE,
    )
    monitor.send("some input")
    monitor.close_stdin()
    monitor.finish()
    (shown,) = map(json.loads, monitor.other)
    assert monitor.status == 7
    assert shown["environment"] == "value"
    assert shown["input"] == "some input\n"
    assert shown["arguments"] == ["one", "--pid", "two words"]
    assert shown["blocked"][0].split()[1].strip("0") == ""
    assert shown["files"] == [0, 1, 2]
    assert shown["uid"] == [0, 0, 0]


def test_command_runs_as_the_user_who_called_sudo(gradwatch):
    monitor = gradwatch(
        *("--", "/bin/sh", "-c", "id -u; id -ru; id -g; id -G"),
        env={**os.environ, "SUDO_UID": "65534", "SUDO_GID": "65534"},
    ).finish()
    assert monitor.status == 0, monitor.stderr
    assert monitor.other == ["65534"] * 4


def test_command_under_sudo_has_the_home_of_its_user(gradwatch):
    monitor = gradwatch(
        *("--", "/bin/sh", "-c", "echo $HOME $USER $LOGNAME"),
        env={**os.environ, "SUDO_UID": "1", "SUDO_GID": "1", "HOME": "/root", "USER": "root"},
    ).finish()
    user = pwd.getpwuid(1)
    assert monitor.other == [f"{user.pw_dir} {user.pw_name} {user.pw_name}"]


@pytest.fixture
def user():
    """A real user, in a group besides its own, who may call sudo without a password."""
    name = f"gw{os.getpid()}"
    rules = pathlib.Path(f"/etc/sudoers.d/{name}")
    subprocess.run(
        ["useradd", "--create-home", "--shell", "/bin/bash", "--groups", "daemon", name], check=True
    )
    try:
        rules.write_text(
            f'{name} ALL=(ALL:ALL) NOPASSWD:SETENV: ALL\nDefaults:{name} env_keep += "GW_KEPT"\n'
        )
        rules.chmod(0o440)
        yield name
    finally:
        rules.unlink(missing_ok=True)
        subprocess.run(["userdel", "--remove", name], check=True, stderr=subprocess.DEVNULL)


SHOW_ALL = (
    "import json, os; print(json.dumps([dict(os.environ), os.getresuid(), os.getresgid(),"
    " sorted(os.getgroups()), os.path.expanduser('~')]))"
)


@pytest.mark.parametrize("how", [[], ["-E"], ["-H"], ["HOME=/elsewhere"]], ids=str)
def test_command_under_sudo_is_as_sudo_makes_it(binary, user, how):
    """Its environment and ids are those that `sudo -u USER` gives to the same command."""
    show = ["/usr/bin/python3", "-c", SHOW_ALL]
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "GW_KEPT": "kept", "GW_OTHER": "x"}
    environment |= {"HOME": f"/home/{user}", "USER": user, "LOGNAME": user, "SHELL": "/bin/dash"}
    environment |= {"MAIL": "/elsewhere/mail", "XDG_RUNTIME_DIR": "/run/x"}

    def run(*argv):
        caller = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        command = [*caller, "sudo", "-n", *argv]
        options = {"capture_output": True, "text": True, "timeout": 60, "cwd": "/"}
        done = subprocess.run(command, env=environment, **options)
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        shown[0].pop("SUDO_COMMAND", None)
        return shown

    assert run(*how, binary, "--", *show) == run("-u", user, *how, *show)


# Runs a program as a careless launcher does.
LAUNCHER = """
import os, signal, sys
for name in sys.argv[1].split(","):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
os.execv(sys.argv[2], sys.argv[2:])
"""
NICE = 16  # of the fields of /proc/PID/stat from the state on
SHOW_SIGNALS = ["grep", "-hE", "^Sig(Blk|Ign)|^[0-9]+ [(]"]
OF_ITSELF = ["/proc/self/status", "/proc/self/stat", "/nonexistent"]  # so its status is 2


def test_command_gets_the_signals_that_were_given(binary):
    """Also under a parent that ignores SIGCHLD: the command's end is seen, and its status."""
    given = []
    for before in ([], [str(binary), "--"]):
        launcher = [sys.executable, "-S", "-c", LAUNCHER, "SIGCHLD,SIGPIPE,SIGHUP,SIGINT"]
        argv = [*before, *SHOW_SIGNALS, *OF_ITSELF]
        argv[0] = shutil.which(argv[0])
        result = subprocess.run([*launcher, *argv], capture_output=True, text=True, timeout=120)
        assert result.returncode == 2, result.stderr
        lines = result.stdout.splitlines()
        blocked, ignored = (int(line.split()[1], 16) for line in lines if line.startswith("Sig"))
        (stat,) = (line for line in lines if " (grep) " in line)
        given.append((blocked, ignored, stat.rsplit(")", 1)[1].split()[NICE]))
    assert given[0] == given[1]
    assert given[0][0] >> signal.SIGUSR2 - 1 & 1 and given[0][1] >> signal.SIGPIPE - 1 & 1


@pytest.mark.parametrize("log", [True, False])
def test_terminal_is_closed(puppet, gradwatch, tmp_path, log):
    """SIGHUP ends it, unless there is a log, which begins a new segment."""
    process = puppet()
    path = tmp_path / "log"
    monitor = gradwatch("--pid", process.pid, *(["--log", path] if log else [])).armed()
    if log:
        monitor.signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while len(logs.segments(path)) < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        monitor.stop()
    else:
        monitor.stop(signal.SIGHUP)
    assert monitor.status == 0
    process.end()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 42"], 42),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
    ],
)
def test_status_of_the_command(gradwatch, command, status):
    assert gradwatch("--", *command).finish().status == status


@pytest.mark.parametrize(("command", "status"), [("/nonexistent", 127), ("/etc/passwd", 126)])
def test_command_that_cannot_run(binary, command, status):
    result = subprocess.run([binary, "--", command], capture_output=True, text=True, timeout=60)
    assert result.returncode == status
    (line,) = result.stderr.splitlines()
    assert line.startswith("gradwatch: error: cannot run") and command in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(gradwatch, number):
    # Short waits: a signal that comes right before one is only looked at after it.
    wait = "while :; do read -t 0.2 line; done"  # from a pipe that stays open
    script = f"trap 'echo INT; exit 5' INT; trap 'echo TERM; exit 5' TERM; echo up; {wait}"
    monitor = gradwatch("--", "bash", "-c", script, stdin=subprocess.PIPE)
    monitor.wait_for("start")
    while "up" not in monitor.other:
        monitor.other.append(monitor.line())
    monitor.signal(number)
    monitor.finish()
    assert monitor.status == 5
    assert number.name.removeprefix("SIG") in monitor.other


def test_command_is_watched_from_its_first_call(target, gradwatch, tmp_path):
    """With nothing but a command line; its children are followed by default."""
    argv = target.command(tmp_path, "puppet.py")
    monitor = gradwatch("--", *argv, stdin=subprocess.PIPE)
    monitor.send("loop 1\nfork loop 1")
    monitor.close_stdin()
    monitor.finish()
    assert monitor.status == 0, monitor.stderr
    assert len(monitor.violations) == 2 * CHANGES_OF_SMALL
    assert monitor.end_event["processes"] == 2
    (attached,) = monitor.of_type("attached")
    assert attached["certain"] and attached["sites"] > 0
