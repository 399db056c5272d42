# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes with deadlines: whatever a test starts answers in time or the test fails."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time

# Set for emulated machines.
SLOWNESS = int(os.environ.get("GRADWATCH_SLOWNESS", "1"))
DEADLINE = 120 * SLOWNESS  # seconds for anything that a loaded machine does in a few

started = []  # everything, for the fixture that leaves nothing behind

TOTALS = re.compile(
    r"(\d+) process(?:es)?, (\d+) traces?, (\d+) violations?, (\d+) lost", re.MULTILINE
)
LEDGER = re.compile(
    r"^ledger: (\d+) hits? = (\d+) reported \+ (\d+) redundant \+ (\d+) outside-trace"
    r" \+ (\d+) filtered \+ (\d+) lost \+ (\d+) throttled$",
    re.MULTILINE,
)


class Process:
    """A child process whose output is read by threads, line by line."""

    def __init__(self, argv, **options):
        options.setdefault("stdin", subprocess.PIPE)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("start_new_session", True)  # so that cleaning up reaches all of it
        self.popen = subprocess.Popen(argv, stderr=subprocess.PIPE, **options)
        started.append(self.popen)
        self.pid = self.popen.pid
        self.lines = queue.Queue()
        self.errors = []
        self.readers = [threading.Thread(target=self._read_errors, daemon=True)]
        if self.popen.stdout:
            self.readers.append(
                threading.Thread(
                    target=self._read_lines, args=(self.popen.stdout, self.lines), daemon=True
                )
            )
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read_lines(stream, lines):
        for line in stream:
            lines.put(line.decode(errors="surrogateescape").rstrip("\n"))
        lines.put(None)

    def _read_errors(self):
        for line in self.popen.stderr:
            self.errors.append(line.decode(errors="surrogateescape"))

    @property
    def stderr(self):
        return "".join(self.errors)

    def send(self, text):
        self.popen.stdin.write(text.encode() + b"\n")
        self.popen.stdin.flush()

    def line(self, timeout=DEADLINE, lines=None):
        """The next line of output (or of another queue of lines); None at its end."""
        try:
            return (lines or self.lines).get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no output in {timeout} s; stderr: {self.stderr}") from None

    def close_stdin(self):
        self.popen.stdin.close()

    def signal(self, number):
        self.popen.send_signal(number)

    def alive(self):
        return self.popen.poll() is None

    def wait(self, timeout=DEADLINE):
        """The exit status; all output is read then."""
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s: {self.stderr}") from None
        for reader in self.readers:
            reader.join(timeout)
        return status

    def rest(self, timeout=DEADLINE):
        """The lines up to the end of the output."""
        lines = []
        while (line := self.line(timeout)) is not None:
            lines.append(line)
        return lines


class Puppet(Process):
    """tests/programs/puppet.py: does one thing at a time."""

    def __init__(self, argv, **options):
        super().__init__(argv, **options)
        self.ready = self.answer()

    def answer(self):
        line = self.line()
        assert line is not None, f"the program ended: {self.stderr}"
        return json.loads(line)

    def tell(self, command):
        """Sends a command and returns its answer."""
        self.send(command)
        answer = self.answer()
        assert "error" not in answer, answer
        return answer

    def run(self, *commands):
        return [self.tell(command) for command in commands]

    def end(self):
        if self.popen.stdin and not self.popen.stdin.closed:
            self.close_stdin()
        return self.wait()


class Gradwatch(Process):
    """The monitor with --json: its events as they come, and its totals at the end.

    Standard output is the command's own where there is one: then events come by a pipe.
    """

    def __init__(self, binary, *arguments, json_lines=True, **options):
        self.events = []
        self.other = []  # what else was on standard output: a command's lines
        options.setdefault("stdin", subprocess.DEVNULL)
        argv = [str(binary), *(["--json"] if json_lines else [])]
        piped = json_lines and "--" in arguments
        if piped:
            reading, writing = os.pipe()
            # By this path the command does not inherit it.
            argv += ["--output", f"/proc/{os.getpid()}/fd/{writing}"]
        super().__init__([*argv, *map(str, arguments)], **options)
        self.event_lines = queue.Queue() if piped else self.lines
        if piped:
            self._start_reading_events(reading, writing)

    def _start_reading_events(self, reading, writing):
        def close_at_the_end():
            self.popen.wait()
            os.close(writing)

        threading.Thread(target=close_at_the_end, daemon=True).start()
        reader = threading.Thread(
            target=self._read_lines, args=(os.fdopen(reading, "rb"), self.event_lines), daemon=True
        )
        reader.start()
        self.readers.append(reader)

    def next_event(self, timeout=DEADLINE):
        """The next event; None at the end."""
        while (line := self.line(timeout, self.event_lines)) is not None:
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict) and event.get("v") == 2:
                self.events.append(event)
                return event
            assert self.event_lines is self.lines, f"no event: {line!r}"
            self.other.append(line)
        return None

    def wait_for(self, wanted, count=1, timeout=DEADLINE):
        """Reads on until `count` events of the type (or that fit the function) are there."""
        fits = wanted if callable(wanted) else lambda event: event["type"] == wanted
        end = time.monotonic() + timeout
        while sum(map(fits, self.events)) < count:
            event = self.next_event(max(0.1, end - time.monotonic()))
            assert event is not None, f"gradwatch ended: {self.stderr}"
        return [event for event in self.events if fits(event)][count - 1]

    def armed(self):
        """Waits until the probes are in place."""
        self.wait_for("start")
        return self

    def stop(self, number=signal.SIGINT):
        """Ends it by a signal, and everything is read."""
        self.signal(number)
        return self.finish()

    def finish(self, timeout=DEADLINE):
        """Waits for its end; checks what holds for every run."""
        self.status = self.wait(timeout)
        while self.next_event() is not None:
            pass
        if self.event_lines is not self.lines and self.popen.stdout:
            self.other += self.rest()
        self.check_balance()
        return self

    def of_type(self, kind):
        return [event for event in self.events if event["type"] == kind]

    @property
    def violations(self):
        return self.of_type("change")

    @property
    def end_event(self):
        (end,) = self.of_type("end")
        return end

    @property
    def ledger(self):
        return self.end_event["ledger"]

    def check_balance(self):
        """The identity of the ledger, and that all forms of it say the same."""
        totals = [int(number) for number in TOTALS.search(self.stderr).groups()]
        ledger = [int(number) for number in LEDGER.search(self.stderr).groups()]
        assert ledger[0] == sum(ledger[1:]), self.stderr
        if not self.of_type("end"):  # no --json
            return
        names = ["hits", "reported", "redundant", "outside_trace", "filtered", "lost"]
        names.append("throttled")
        assert [self.ledger[name] for name in names] == ledger
        names = ["processes", "traces", "violations", "lost"]
        assert [self.end_event[name] for name in names] == totals
        changes = totals[2] + self.end_event["infos"]
        assert changes == self.ledger["reported"] + self.ledger["throttled"]
        assert self.ledger["reported"] == len(self.violations)
        assert sum(event["count"] for event in self.of_type("lost")) == self.ledger["lost"]
        begun = [event["trace"] for event in self.of_type("trace_begin")]
        ended = [event["trace"] for event in self.of_type("trace_end")]
        torn = [line for line in self.other if "mono_ns" in line]
        assert not torn, f"lines are not whole: {torn}"
        unpaired = set(begun) ^ set(ended)
        odd = [event for event in self.events if event.get("trace") in unpaired]
        assert sorted(begun) == sorted(ended), odd
        assert len(begun) == len(set(begun)) == totals[1]
        assert {event["trace"] for event in self.violations} - {None} <= set(begun)


def kill_all():
    """Ends what tests have left behind, with the children."""
    for popen in started:
        for kill in (lambda p=popen: os.killpg(p.pid, signal.SIGKILL), popen.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill()
        popen.wait()
    started.clear()
