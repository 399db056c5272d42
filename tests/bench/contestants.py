# SPDX-License-Identifier: GPL-2.0-or-later
"""What is compared. Each is started against the running target and stopped again."""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 60  # seconds for a tool to start or to stop


class Failure(Exception):
    """The benchmark could not run."""


def mapped_file(pid, name):
    """A path to the file as the process maps it, whatever root it has."""
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and re.search(rf"/{name}\.so[^/]*$", fields[5]):
                # The kernel writes addresses there without the leading zeros of maps.
                first, last = (int(field, 16) for field in fields[0].split("-"))
                return f"/proc/{pid}/map_files/{first:x}-{last:x}"
    raise Failure(f"process {pid} has no {name} mapped")


class Contestant:
    """A tool that is run beside the target. Its output goes to a file, as a log's would."""

    name = ""
    ready = b""  # what it prints when it is armed
    violation = None  # what is in each line that reports one

    def takes(self, case):
        """Whether it is measured in a case: a storm is for those that do not print each change."""
        return case != "raise"

    def __init__(self):
        self.process = None
        self.output = None

    def command(self):
        raise NotImplementedError

    def start(self):
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill()
        # It must not stay attached if this process is killed.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "INT", "--", *self.command()],
            stdin=subprocess.PIPE,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + PATIENCE
        while self.ready not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.fail("did not start")
            time.sleep(0.01)

    def text(self):
        return os.pread(self.output.fileno(), os.fstat(self.output.fileno()).st_size, 0)

    def fail(self, what):
        tail = self.text()[-2000:].decode(errors="replace")
        self.kill()
        raise Failure(f"{self.name} {what}:\n{tail}")

    def ask_to_stop(self):
        self.process.send_signal(signal.SIGINT)

    def finish(self):
        """Ends it; all its output is there then."""
        self.ask_to_stop()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.fail("did not stop")
        if status:
            self.fail(f"ended with status {status}")

    def stop(self):
        """Returns how many violations it reported, None if it does not look for them."""
        self.finish()
        found = None
        if self.violation:
            found = sum(self.violation in line for line in self.text().splitlines())
        self.kill()
        return found

    def kill(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process = None
        if self.output:
            self.output.close()
            self.output = None


class Empty(Contestant):
    """An empty program at the place that gradwatch chose: the least that any probe costs."""

    name = "empty"
    ready = b"ready"

    def __init__(self, pid, build):
        super().__init__()
        library = mapped_file(pid, "libc10")
        plan = subprocess.run(
            [f"{build}/bench/plan", library], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        values = dict(line.split("=", 1) for line in plan.splitlines())
        self.arguments = [
            f"{build}/bench/empty_probe",
            library,
            values["set_enabled_file_offset"],
        ]

    def command(self):
        return self.arguments

    def ask_to_stop(self):
        self.process.stdin.close()


class Gradwatch(Contestant):
    name = "gradwatch"
    ready = b'"type":"start"'
    end = b'"type":"end"'
    violation = b'"type":"change"'

    def __init__(self, pid, binary):
        super().__init__()
        self.arguments = [binary, "--json", "--rate", "0", "--pid", str(pid)]

    def stop_and_count_calls(self):
        """Returns how many calls of the setter it has seen."""
        self.finish()
        (end,) = (line for line in self.text().splitlines() if self.end in line)
        return json.loads(end)["ledger"]["hits"]

    def takes(self, case):
        return case not in ("storm", "raise")

    def command(self):
        return self.arguments


class Throttled(Contestant):
    """gradwatch as it is started by default, with a limit to what a thread may report."""

    name = "throttled"
    ready = Gradwatch.ready

    def __init__(self, pid, binary):
        super().__init__()
        self.arguments = [binary, "--json", "--pid", str(pid)]

    def takes(self, case):
        return case == "storm"

    def command(self):
        return self.arguments


class Raising(Contestant):
    """gradwatch that lets violations raise."""

    name = "raising"
    ready = Gradwatch.ready

    def __init__(self, pid, binary):
        super().__init__()
        acting = ["--on-violation", "raise", "--enforce-kinds", "make_fx"]
        self.arguments = [binary, "--json", "--rate", "0", *acting, "--pid", str(pid)]

    def takes(self, case):
        return case == "raise"

    def command(self):
        return self.arguments


class Armed(Raising):
    """The same while nothing is traced: then only the setter is probed."""

    name = "armed"
    pause = 6  # seconds; the probe in the binding is taken away after 5

    def start(self):
        super().start()
        time.sleep(self.pause)

    def takes(self, case):
        return case in ("setter", "train", "infer")


class Bpftrace(Contestant):
    """tools/bpftrace: the same reads and the same comparison, at the function's entry."""

    name = "bpftrace"
    ready = b"Attaching"  # said before it is true: the benchmark looks for the effect as well
    violation = b"violation tid "

    def __init__(self, pid, build):
        super().__init__()
        made = subprocess.run(
            [f"{ROOT}/tools/bpftrace/make.sh", str(pid)],
            env=dict(os.environ, GRADWATCH_PLAN=os.path.abspath(f"{build}/bench/plan")),
            stdout=subprocess.PIPE,
            text=True,
        )
        if made.returncode:
            raise Failure("tools/bpftrace/make.sh failed")
        self.script = made.stdout

    def takes(self, case):
        return case not in ("storm", "raise")

    def command(self):
        return ["bpftrace", "-B", "line", "-e", self.script]
