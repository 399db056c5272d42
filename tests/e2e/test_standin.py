# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verdict of gradwatch against the stand-in's own, without PyTorch (tests/standin).

The stand-in knows what is right since it is the library: its driver asks it for the grad mode and
the modes in force before each call. Here those answers and gradwatch's events are put side by side.
"""

import contextlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from processes import SLOWNESS

GRADWATCH = os.environ.get("GRADWATCH_BINARY", "")
STANDIN = Path(os.environ.get("GRADWATCH_STANDIN", "/nonexistent"))
MAP_ONLY = """
import mmap, sys
file = open(sys.argv[1], "rb")
kind = {"prot": mmap.PROT_READ | mmap.PROT_EXEC, "flags": mmap.MAP_PRIVATE}
mapping = mmap.mmap(file.fileno(), 0, **kind)
print("up", flush=True)
sys.stdin.read()
"""
DRIVER = Path(__file__).resolve().parent.parent / "standin" / "driver.py"
PATIENCE = 30 * SLOWNESS  # seconds
READABLE = ["keyed", "pairs", "stack", "endbr64"]
UNREADABLE = ["tlsdesc"]


@pytest.fixture(scope="module", autouse=True)
def built():
    """Without the binary or the stand-in these tests fail, they do not skip."""
    if not GRADWATCH or not STANDIN.is_dir():
        pytest.fail("GRADWATCH_BINARY and GRADWATCH_STANDIN must be set: make check-e2e")


class Reader:
    """The JSON Lines of a program, read by a thread of its own so that waiting can have an end."""

    def __init__(self, open_stream):
        self.seen = []
        self.lines = queue.Queue()
        threading.Thread(target=self._read, args=(open_stream,), daemon=True).start()

    def _read(self, open_stream):
        with open_stream() as stream:
            for line in filter(str.strip, stream):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def take(self):
        """The next record, None at the end."""
        try:
            record = self.lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"nothing in {PATIENCE} s after {self.seen[-5:]}") from None
        if record is not None:
            self.seen.append(record)
        return record

    def wait_for(self, kind):
        while (record := self.take()) is not None:
            if record["type"] == kind:
                return record
        raise AssertionError(f"ended without '{kind}': {self.seen[-5:]}")

    def rest(self):
        while self.take() is not None:
            pass

    def of(self, kind):
        return [record for record in self.seen if record["type"] == kind]


class Run:
    """The driver, and gradwatch around it or, with attach(), beside it."""

    def __init__(self, folder):
        self.path = folder / f"driver-{len(list(folder.iterdir()))}"
        self.processes = []
        self.unwatched = 0  # calls made before gradwatch came

    def start(self, variant, under_gradwatch):
        driver = [sys.executable, str(DRIVER), str(STANDIN / variant / "libc10.so")]
        # The driver writes JSON Lines as gradwatch does: a way of its own for them.
        os.mkfifo(self.path)
        driver = ["sh", "-c", 'path=$0; exec "$@" >"$path"', str(self.path), *driver]
        self.oracle = Reader(self.path.open)
        if under_gradwatch:
            self.driver = self._start_gradwatch("--", *driver, stdin=subprocess.PIPE)
            self.oracle.wait_for("ready")
            self.events.wait_for("attached")
        else:
            self.driver = self._start(driver, stdin=subprocess.PIPE)
            self.oracle.wait_for("ready")

    def _start(self, command, **options):
        process = subprocess.Popen(command, text=True, **options)
        self.processes.append(process)
        return process

    def _start_gradwatch(self, *arguments, **options):
        self.gradwatch = self._start(
            [GRADWATCH, "--json", "--output", "-", *arguments], stdout=subprocess.PIPE, **options
        )
        self.events = Reader(lambda: self.gradwatch.stdout)
        return self.gradwatch

    def attach(self, *how):
        self._start_gradwatch(*(how or ("--pid", str(self.driver.pid))))
        self.events.wait_for("start")
        self.unwatched = len(self.oracle.of("set"))

    def watch_into(self, log):
        """Has gradwatch's output copied to a file, and returns gradwatch when it is ready."""
        command = [GRADWATCH, "--json", "--pid", str(self.driver.pid)]
        gradwatch = self._start(command, stdout=subprocess.PIPE)
        self.copier = self._start(["cat"], stdin=gradwatch.stdout, stdout=log.open("w"))
        gradwatch.stdout.close()
        end = time.monotonic() + PATIENCE
        while not log.exists() or '"type":"start"' not in log.read_text():
            assert time.monotonic() < end and gradwatch.poll() is None
            time.sleep(0.01)
        return gradwatch

    def do(self, *commands):
        """Has the driver run commands, and waits until all of them are done."""
        self.driver.stdin.write("".join(command + "\n" for command in commands))
        self.driver.stdin.flush()
        for _ in commands:
            self.oracle.wait_for("done")

    def finish(self):
        self.driver.stdin.close()
        self.oracle.rest()
        if self.driver is not self.gradwatch:
            assert self.driver.wait(PATIENCE) == 0
            self.gradwatch.send_signal(signal.SIGINT)
        self.events.rest()
        assert self.gradwatch.wait(PATIENCE) == 0

    def kill(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                if process.stdin:
                    process.stdin.close()

    def calls(self):
        return self.oracle.of("set")[self.unwatched :]


@pytest.fixture
def standin(tmp_path):
    """Makes runs, and ends them whatever happens."""
    runs = []

    def make(variant, under_gradwatch=True):
        runs.append(Run(tmp_path))
        runs[-1].start(variant, under_gradwatch)
        return runs[-1]

    yield make
    for run in runs:
        run.kill()


def unmatched(calls, events):
    """What is left when each event is put to the violating call it happened in."""
    waiting = [call for call in calls if call["violation"]]
    extra = []
    for event in events:
        for call in waiting:
            if (
                call["tid"] == event["tid"]
                and call["before_ns"] <= event["mono_ns"] <= call["after_ns"]
                and (call["from"], call["to"]) == (event["from"], event["to"])
            ):
                waiting.remove(call)
                break
        else:
            extra.append(event)
    return waiting, extra


def check(run, certain=True):
    """Every verdict equal, none missing, none extra; and the ledger says the same."""
    calls, events = run.calls(), run.events.of("change")
    assert unmatched(calls, events) == ([], [])
    assert {event["certain"] for event in events} <= {certain}
    kinds = Counter(
        "reported" if call["violation"] else "redundant" if call["in_trace"] else "outside_trace"
        for call in calls
    )
    (end,) = run.events.of("end")
    ledger = {key: count for key, count in end["ledger"].items() if count}
    assert ledger == {"hits": len(calls), **kinds}
    return events


def random_commands(seed, count, kinds, restore):
    """A random life of the main thread and three others; all modes are left at the end."""
    dice = random.Random(seed)
    depth = Counter()
    commands = []
    for _ in range(count):
        thread = dice.choice(["", "@a ", "@b ", "@c "])
        step = dice.choices(["set", "push", "pop", "operator", "restore"], [10, 3, 2, 3, 2])[0]
        if step == "push" and depth[thread] < 4:
            commands.append(f"{thread}push {dice.choice(kinds)}")
            depth[thread] += 1
        elif step == "pop" and depth[thread]:
            commands.append(f"{thread}pop")
            depth[thread] -= 1
        elif step == "operator":
            commands.append(f"{thread}operator")
        elif step == "set" or (step == "restore" and restore):
            commands.append(f"{thread}{step} {dice.randrange(2)}")
    for thread, left in depth.items():
        commands += [f"{thread}pop"] * left
    return commands


PROXIES = ["proxy", "proxy", "derived"]
ALL_KINDS = [*PROXIES, "functional", "other"]
NESTED = (
    "set 0; set 1; push; set 0; set 0; operator; set 1; push other; set 0; "
    "push; operator; set 1; pop; set 0; pop; pop; set 1; set 1"
)


@pytest.mark.parametrize("variant", READABLE + UNREADABLE)
def test_nested(standin, variant):
    run = standin(variant)
    run.do(*NESTED.split("; "))
    run.finish()
    events = check(run, certain=variant in READABLE)
    assert [(event["from"], event["to"]) for event in events] == [
        (True, False),
        (False, True),
        (True, False),
        (False, True),
        (True, False),
    ]
    assert all(event["trace"] for event in events)


@pytest.mark.parametrize("variant", READABLE)
def test_random(standin, variant):
    run = standin(variant)
    run.do(*random_commands(1, 1500, ALL_KINDS, restore=True))
    run.do("random 1500 2", "together 4 300 3")
    run.finish()
    assert len(check(run)) > 100


@pytest.mark.parametrize("variant", UNREADABLE)
def test_random_tracked(standin, variant):
    """Without the thread's own state: right as long as nobody changes it behind the probes."""
    run = standin(variant)
    run.do(*random_commands(4, 1500, ALL_KINDS, restore=False))
    run.finish()
    assert len(check(run, certain=False)) > 50


@pytest.mark.parametrize("variant", READABLE)
def test_attach_in_mid_trace(standin, variant):
    """Right from the first event, in threads that were there before."""
    run = standin(variant, under_gradwatch=False)
    run.do("set 0", "push", "@a push", "@a set 0", "@b restore 0", "@c push other")
    run.attach()
    run.do("set 0", "set 1", "@a set 0", "@a set 1", "@b set 0", "@b set 1", "@c set 0", "set 0")
    run.do("pop", "set 1", "@a end", "@b push", "@b set 0", "random 200 5")
    run.finish()
    assert len(check(run)) > 4


def test_all_processes(standin):
    """Every process that has the library, now or later; others may be on this machine as well."""
    first = standin("keyed", under_gradwatch=False)
    first.do("push", "set 0")
    first.attach("--all")
    later = standin("pairs", under_gradwatch=False)
    while first.events.wait_for("attached")["pid"] != later.driver.pid:
        pass
    for run in (first, later):
        run.do("set 1", "push", "set 0", "set 1", "operator", "set 0", "random 200 6")
    for run in (later, first):
        run.driver.stdin.close()
        run.oracle.rest()
        assert run.driver.wait(PATIENCE) == 0
    first.gradwatch.send_signal(signal.SIGINT)
    first.events.rest()
    assert first.gradwatch.wait(PATIENCE) == 0
    for run in (first, later):
        events = [one for one in first.events.of("change") if one["pid"] == run.driver.pid]
        assert len(events) > 10
        assert unmatched(run.calls(), events) == ([], [])


@pytest.mark.parametrize("variant", READABLE)
def test_attach_at_random_moments(standin, variant):
    for seed in range(3):
        commands = random_commands(seed, 300, ALL_KINDS, restore=True)
        moment = random.Random(seed).randrange(20, 200)
        run = standin(variant, under_gradwatch=False)
        run.do(*commands[:moment])
        run.attach()
        run.do(*commands[moment:])
        run.finish()
        check(run)


@pytest.mark.parametrize("variant", ["keyed", "pairs", "endbr64"])
def test_another_class_in_the_slot(standin, variant):
    """Only a ProxyTorchDispatchMode makes a trace, whoever took its slot."""
    run = standin(variant)
    run.do("push impostor", "set 0", "set 1", "operator", "set 0", "pop", "set 1")
    run.finish()
    assert run.events.of("change") == []


@pytest.mark.parametrize("variant", READABLE)
def test_thread_that_ends_within_a_trace(standin, variant):
    run = standin(variant)
    for _ in range(5):  # thread numbers and their memory are used again
        run.do("@a set 0", "@a push", "@a set 1", "@a operator", "@a set 0", "@a end")
        run.do("@b set 0", "@b set 1", "@b end")
    run.finish()
    assert len(check(run)) == 10


@pytest.mark.parametrize("variant", READABLE)
def test_class_that_cannot_be_read(standin, variant):
    """
    A forked child lacks the page with the name of the mode's class, and BPF cannot bring it in:
    what cannot be read is no reason to take a change for one outside of a trace.
    """
    run = standin(variant)
    run.do("forget_name", "push", "fork 100")
    run.finish()
    events = run.events.of("change")
    assert len(events) == 100
    assert {event["certain"] for event in events} == {False}
    (end,) = run.events.of("end")
    assert end["ledger"]["hits"] == end["ledger"]["reported"] == 100
    assert end["counters"]["unreadable"] == 100
    assert end["drifts"] == 0


def count(events, kind):
    return sum(event["type"] == kind for event in events)


def check_changes(events):
    """
    All calls were changes in traces that were seen from their start: whether a change was told,
    throttled or lost, no count misses it. Returns how many they were.
    """
    end = events[-1]
    ledger = end["ledger"]
    assert end["type"] == "end" and end["counters"]["traces_full"] == 0
    assert ledger["redundant"] == ledger["outside_trace"] == ledger["filtered"] == 0
    assert ledger["reported"] + ledger["throttled"] + ledger["lost"] == ledger["hits"]
    assert end["violations"] == ledger["reported"] + ledger["throttled"]
    assert end["lost_output"] == 0
    assert ledger["reported"] == count(events, "change")
    assert end["lost"] == ledger["lost"]
    assert ledger["lost"] == sum(event["count"] for event in events if event["type"] == "lost")
    ends = [event for event in events if event["type"] == "trace_end"]
    assert len(ends) == count(events, "trace_begin") == end["traces"]
    assert sum(event["changes"] for event in ends) == ledger["hits"]
    return ledger["hits"]


def test_many_short_threads(standin, tmp_path):
    """A thread that ends gives its trace back at once: more traces than the map has room for."""
    threads = 50_000
    log = tmp_path / "log"
    run = standin("keyed", under_gradwatch=False)
    gradwatch = run.watch_into(log)
    run.do(f"short_threads {threads}")
    run.driver.stdin.close()
    assert gradwatch.wait(PATIENCE) == 0 and run.copier.wait(PATIENCE) == 0
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert check_changes(events) == 2 * threads
    ends = [event for event in events if event["type"] == "trace_end"]
    assert len(ends) == threads and {event["changes"] for event in ends} == {2}


class Log:
    """A file of JSON Lines that grows."""

    def __init__(self, path):
        self.path = path
        self.at = 0

    def wait_for(self, kind, pid=None):
        """Until such an event comes; returns it and the seconds that took."""
        began = time.monotonic()
        while time.monotonic() < began + 2 * PATIENCE:
            with self.path.open("rb") as file:
                file.seek(self.at)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self.at += len(line)
                    if f'"type":"{kind}"'.encode() not in line:
                        continue
                    event = json.loads(line)
                    if pid in (None, event.get("pid")):
                        return event, time.monotonic() - began
            time.sleep(0.01)
        raise AssertionError(f"no {kind} in {2 * PATIENCE} s")


@contextlib.contextmanager
def at_once():
    """The test's own process does not wait for busy threads to notice what has happened."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, -19)
    yield
    os.setpriority(os.PRIO_PROCESS, 0, before)


RATES = pytest.mark.parametrize("rate", [[], ["--rate", "0"]], ids=["rate", "no_rate"])


def watch_pids(run, log, *options):
    """Starts gradwatch, with its output in a file, and waits until it is ready."""
    with log.open("w") as out:
        gradwatch = run._start([GRADWATCH, "--json", *options], stdout=out)
    events = Log(log)
    events.wait_for("start")
    return gradwatch, events


@RATES
def test_end_in_a_storm(standin, tmp_path, rate):
    """Threads that change without pause keep neither another process nor a signal waiting."""
    log = tmp_path / "log"
    run = standin("keyed", under_gradwatch=False)
    later = [sys.executable, str(DRIVER), str(STANDIN / "pairs" / "libc10.so")]
    # Of higher priority: how long it takes to start among 64 busy threads is not the matter here.
    other = run._start(
        ["nice", "-n", "-19", "sh", "-c", 'read go && exec "$@"', "sh", *later],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    pids = ["--pid", str(run.driver.pid), "--pid", str(other.pid)]
    gradwatch, events = watch_pids(run, log, *rate, *pids)
    run.do("storm 64")
    events.wait_for("change")
    other.stdin.write("go\n")
    other.stdin.flush()
    attached, _ = events.wait_for("attached", other.pid)
    armed = attached["armed_after_ns"] / 1e9
    with at_once():
        asked = time.monotonic()
        gradwatch.send_signal(signal.SIGINT)
        assert gradwatch.wait(PATIENCE) == 0
        ended = time.monotonic() - asked
    print(f"armed after {armed:.1f} s, ended after {ended:.1f} s")
    # 0.3 to 0.8 s and 0.6 to 1.5 s on two processors; the limits are for busy ones.
    assert armed < 20 * SLOWNESS and ended < 20 * SLOWNESS
    run.do("calm")
    seen = check_changes([json.loads(line) for line in log.read_text().splitlines()])
    assert 64 <= seen <= run.oracle.of("calm")[0]["calls"]


@RATES
def test_storm(standin, tmp_path, rate):
    """Of each change that many threads make at the same time it is known what became of it."""
    log = tmp_path / "log"
    run = standin("keyed", under_gradwatch=False)
    gradwatch, events = watch_pids(run, log, *rate, "--pid", str(run.driver.pid))
    run.do("storm 64")
    events.wait_for("change")
    time.sleep(1)
    run.do("calm")
    gradwatch.send_signal(signal.SIGINT)
    assert gradwatch.wait(PATIENCE) == 0
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert check_changes(events) == run.oracle.of("calm")[0]["calls"]
    assert events[-1]["traces"] == 64


def test_file_is_rewritten_under_the_probes(standin, tmp_path):
    """
    Its probes are removed: at their old offsets in the new code they would crash whoever maps it.
    The new code is inspected and probed as a new file.
    """
    library = tmp_path / "libs" / "libc10.so"
    library.parent.mkdir()
    shutil.copyfile(STANDIN / "keyed" / "libc10.so", library)
    first = subprocess.Popen(
        [sys.executable, "-c", MAP_ONLY, library], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    first.stdout.readline()
    run = standin("pairs", under_gradwatch=False)
    run.attach("--all")

    def wait_for(kind, count=1):
        """With the library of this test: the others' are watched as well."""
        for _ in range(count):
            event = run.events.wait_for(kind)
            while event["torch"]["file"] != str(library):
                event = run.events.wait_for(kind)
        return event

    assert str(library) in [event["torch"]["file"] for event in run.events.of("attached")]
    shutil.copyfile(STANDIN / "pairs" / "libc10.so", library)  # in place, as cp does
    assert wait_for("skipped")["reason"] == "the file was rewritten while it was probed"
    for _ in range(5):
        driver = [sys.executable, str(DRIVER), str(library)]
        result = subprocess.run(
            driver,
            input="push\nset 0\nset 1\npop\n",
            stdout=subprocess.DEVNULL,
            text=True,
            timeout=4 * PATIENCE,
        )
        assert result.returncode == 0
    assert wait_for("attached", 2)["certain"]
    first.kill()
    first.wait()
