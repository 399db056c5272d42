# SPDX-License-Identifier: GPL-2.0-or-later
"""The target process, and what can be attached to it: nothing, an empty probe, the two monitors."""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
START_SECONDS = 30
STOP_SECONDS = 20


class BenchError(Exception):
    """Something could not be run."""


def spawn(command, **options):
    """A child that does not outlive us, even if we are killed."""
    command = ["setpriv", "--pdeathsig", "INT", "--", *map(str, command)]
    return subprocess.Popen(command, text=True, start_new_session=True, **options)


def stop(process, number=None):
    """Ends a child by a signal or by the end of its input; by force when that does not help."""
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    if number and process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Target:
    """The process that works on command (target.py) in one of the installations of PyTorch."""

    def __init__(self, name):
        made = subprocess.run(
            [ROOT / "tests/targets/make.sh", name], stdout=subprocess.PIPE, text=True
        )
        if made.returncode:
            raise BenchError(f"cannot make target {name}")
        folder = made.stdout.strip().split("\t")[1]
        program = ["-u", "-c", (HERE / "target.py").read_text()]
        if name.startswith("debian-"):
            script = (
                'mount --rbind /proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" "$@"'
            )
            command = ["unshare", "-m", "sh", "-c", script, folder, "python3", *program]
        else:
            command = [f"{folder}/bin/python", *program]
        # The target's warnings are not ours; its last words matter when it fails.
        self.errors = tempfile.TemporaryFile("w+")
        self.process = spawn(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors
        )
        self.pid = self.process.pid
        self.versions = self._answer()
        self.library = self._find_library()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise BenchError(f"the target ended: {self.errors.read()[-2000:]}")
        return json.loads(line)

    def run(self, case, count):
        self.process.stdin.write(f"{case} {count}\n")
        self.process.stdin.flush()
        return self._answer()

    def _find_library(self):
        """The mapped file itself, whatever root and mount namespace the target has."""
        for line in Path(f"/proc/{self.pid}/maps").read_text().splitlines():
            fields = line.split()
            if re.search(r"/libc10\.so[^/]*$", fields[-1]):
                return f"/proc/{self.pid}/map_files/{fields[0]}"
        raise BenchError("the target has no libc10 mapped")

    def plan(self, program):
        run = subprocess.run([program, self.library], stdout=subprocess.PIPE, text=True)
        if run.returncode:
            raise BenchError("no plan for the target's libc10")
        return dict(line.split("=", 1) for line in run.stdout.splitlines())

    def close(self):
        stop(self.process)
        self.errors.close()


class Unprobed:
    name = "unprobed"
    violations = 0

    def start(self):
        pass

    def stop(self):
        pass


class EmptyProbe:
    """The empty program at the place that gradwatch has chosen."""

    name = "empty"
    violations = 0

    def __init__(self, target, build):
        offset = target.plan(build / "bench/plan")["set_enabled_file_offset"]
        self.command = [build / "bench/empty_probe", target.library, offset]

    def start(self):
        pipe = subprocess.PIPE
        self.process = spawn(self.command, stdin=pipe, stdout=pipe)
        if self.process.stdout.readline() != "ready\n":
            self.stop()
            raise BenchError("the empty probe could not be attached")

    def stop(self):
        stop(self.process)
        self.process.stdout.close()


class Monitor:
    """A program that prints a line per violation; a thread of ours reads them."""

    def __init__(self, target):
        self.target = target
        self.violations = 0
        self.lines = []

    def start(self):
        self.lines = []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = spawn(self.command, stdout=subprocess.PIPE, stderr=self.errors)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        try:
            self._wait_until_armed()
        except BaseException:
            self.stop()
            raise

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def count_violations(self):
        return sum(map(self.is_violation, self.lines))

    def _wait_until_armed(self):
        """Its first finding is the proof that it is attached and reads the right bytes."""
        deadline = time.monotonic() + START_SECONDS
        while not self.count_violations():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.errors.seek(0)
                raise BenchError(f"{self.name} did not start: {self.errors.read()[-2000:]}")
            if any(map(self.is_hello, self.lines)):
                self.target.run("violate", 1)
            time.sleep(0.05)
        time.sleep(0.2)
        self.before = self.count_violations()

    def stop(self):
        stop(self.process, signal.SIGINT)
        self.reader.join()
        self.process.stdout.close()
        self.errors.close()
        self.violations = self.count_violations() - getattr(self, "before", 0)


class Gradwatch(Monitor):
    name = "gradwatch"

    def __init__(self, target, build):
        super().__init__(target)
        self.command = [build / "gradwatch", "--pid", target.pid, "--json"]

    def is_hello(self, line):
        return '"type": "start"' in line or '"type":"start"' in line

    def is_violation(self, line):
        return '"type": "violation"' in line or '"type":"violation"' in line


class Bpftrace(Monitor):
    name = "bpftrace"

    def __init__(self, target, build):
        super().__init__(target)
        made = subprocess.run(
            [ROOT / "tools/bpftrace/make.sh", str(target.pid)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "GRADWATCH_PLAN": str(build / "bench/plan")},
        )
        if made.returncode:
            raise BenchError("cannot make the bpftrace script")
        self.command = ["bpftrace", "-B", "line", "-e", made.stdout]

    def is_hello(self, line):
        return line.startswith("Attaching")

    def is_violation(self, line):
        return line.startswith("violation")


TOOLS = {tool.name: tool for tool in (EmptyProbe, Gradwatch, Bpftrace)}
