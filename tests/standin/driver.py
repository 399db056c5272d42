# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives the stand-in for libc10 and says what a right monitor must find.

Usage: driver.py DIR/VARIANT/libc10.so, then commands on standard input, one a line:

  [@NAME] COMMAND ARGS...   in the main thread, or in thread NAME, made when first named

  set 0|1           call c10::GradMode::set_enabled
  restore 0|1       change the grad mode as state guards do, without a call to set_enabled
  push [KIND]       enter a mode: proxy (default), functional, other (a user's own), or
                    impostor (an object of another class in the slot of the tracing mode)
  pop               leave the mode entered last
  operator          pop the mode on top and push it back, as around a traced operator
  random N SEED     N commands of the above at random
  together T N SEED random N in T new threads at once
  forget_name       put the name of the tracing mode's class into a page of a file, so that a
                    forked child does not have it in its memory
  fork N            N calls of set_enabled that change the mode, in a forked child
  short_threads N   N threads, each of which enters a mode, changes the grad mode twice and ends
  storm N           N threads that enter a mode and then change the grad mode without pause
  calm              have these end: {"type": "calm", "calls"}, all of them changes
  end               end the thread

Each command is answered by {"type": "done", ...}; each set is preceded by
{"type": "set", "tid", "before_ns", "after_ns", "from", "to", "in_trace", "mode", "violation"},
judged in the process itself through the library's own functions. Times are CLOCK_MONOTONIC.
"""

import ctypes
import json
import mmap
import os
import queue
import random
import sys
import tempfile
import threading
import time

FAKE, PROXY, FUNCTIONAL = range(3)
USER = -1
MAX_MODES = 6
TYPE_NAME = 24  # offset of tp_name in a type object, CPython 3.9 - 3.14


class ProxyTorchDispatchMode:
    """Recognised by its name, as PyTorch's class of this name is."""


class DerivedProxyMode(ProxyTorchDispatchMode):
    pass


class FunctionalTensorMode:
    pass


class OtherMode:
    pass


# Kind: class and key of the slot.
KINDS = {
    "proxy": (ProxyTorchDispatchMode, PROXY),
    "derived": (DerivedProxyMode, PROXY),
    "functional": (FunctionalTensorMode, FUNCTIONAL),
    "other": (OtherMode, USER),
    "impostor": (OtherMode, PROXY),
}

output_lock = threading.Lock()


def say(**fields):
    with output_lock:
        print(json.dumps(fields), flush=True)


def join(worker):
    """
    Waits until a thread is gone. It drops its modes at its very end, for which it needs the
    interpreter: worker.join() comes back before that, and Python would end it in its midst.
    """
    worker.join()
    while os.path.exists(f"/proc/self/task/{worker.native_id}"):
        time.sleep(0.001)


class Library:
    """The stand-in; its functions keep the interpreter's lock (PyDLL)."""

    def __init__(self, path):
        native = ctypes.PyDLL(path)
        self.set_enabled = native._ZN3c108GradMode11set_enabledEb
        self.set_enabled.argtypes = [ctypes.c_bool]
        self.set_enabled.restype = None
        self.is_enabled = native._ZN3c108GradMode10is_enabledEv
        self.is_enabled.restype = ctypes.c_bool
        self.restore = native.standin_restore
        self.push = native.standin_push
        self.push.argtypes = [ctypes.py_object, ctypes.c_int]
        self.pop = native.standin_pop
        self.operator = native.standin_operator
        self.operator.argtypes = [ctypes.c_void_p]
        self.candidate = native.standin_candidate
        self.candidate.restype = ctypes.c_void_p
        self.keyed = bool(native.standin_keyed())
        # Without the interpreter's lock, which its threads take.
        self.short_threads = ctypes.CDLL(path).standin_short_threads
        self.short_threads.argtypes = [ctypes.py_object, ctypes.c_int, ctypes.c_int]
        self.storm = ctypes.CDLL(path).standin_storm
        self.storm.argtypes = [ctypes.py_object, ctypes.c_int, ctypes.c_int]
        self.calm = ctypes.CDLL(path).standin_calm
        self.calm.restype = ctypes.c_long


class Thread:
    """What one thread has entered, and its commands."""

    def __init__(self, library):
        self.library = library
        self.entered = []  # (key, the mode it replaced in the slot or None)
        self.slots = {}  # key: object in the slot
        self.alive = {}  # id: object, so that addresses can be turned back into objects

    def tracing_mode(self):
        """The innermost ProxyTorchDispatchMode in force, by what the library says."""
        found = None
        index = 0
        while address := self.library.candidate(index):
            mode = self.alive[address]
            if isinstance(mode, ProxyTorchDispatchMode):
                found = mode
            index += 1
        return found

    def set(self, value):
        to = bool(int(value))
        mode = self.tracing_mode()
        before = self.library.is_enabled()
        before_ns = time.monotonic_ns()
        self.library.set_enabled(to)
        after_ns = time.monotonic_ns()
        say(
            type="set",
            tid=threading.get_native_id(),
            before_ns=before_ns,
            after_ns=after_ns,
            **{"from": before, "to": to},
            in_trace=mode is not None,
            mode=id(mode) if mode else None,
            violation=mode is not None and before != to,
        )

    def restore(self, value):
        self.library.restore(int(value))

    def push(self, kind="proxy"):
        mode_class, key = KINDS[kind]
        mode = mode_class()
        self.alive[id(mode)] = mode
        replaced = self.slots.get(key)
        if self.library.keyed and key != USER:
            # A slot holds one mode: PyTorch takes the old one out and puts it back at the end.
            if replaced is not None:
                self.library.pop(key)
            self.slots[key] = mode
        self.library.push(mode, key)
        self.entered.append((key, replaced, mode))

    def pop(self):
        if not self.entered:
            return
        key, replaced, mode = self.entered.pop()
        self.library.pop(key)
        if self.library.keyed and key != USER:
            self.slots[key] = replaced
            if replaced is not None:
                self.library.push(replaced, key)
        del self.alive[id(mode)]

    def operator(self):
        infra = [key for key, _, _ in self.entered if key != USER]
        if infra if self.library.keyed else self.entered:
            self.library.operator(None)

    def forget_name(self):
        name = ProxyTorchDispatchMode.__name__.encode() + b"\0"
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        with tempfile.TemporaryFile() as file:
            file.write(name)
            file.flush()
            address = libc.mmap(
                None,
                ctypes.c_size_t(len(name)),
                mmap.PROT_READ,
                mmap.MAP_PRIVATE,
                file.fileno(),
                ctypes.c_long(0),
            )
        assert ctypes.string_at(address) + b"\0" == name  # the page is there, in this process
        ctypes.c_void_p.from_address(id(ProxyTorchDispatchMode) + TYPE_NAME).value = address

    def fork(self, count):
        child = os.fork()
        if not child:
            on = self.library.is_enabled()
            for _ in range(int(count)):
                on = not on
                self.library.set_enabled(on)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    def short_threads(self, count):
        mode_class, key = KINDS["proxy"]
        self.library.short_threads(mode_class(), key, int(count))

    def storm(self, count):
        mode_class, key = KINDS["proxy"]
        mode = mode_class()
        self.alive[id(mode)] = mode
        self.library.storm(mode, key, int(count))

    def calm(self):
        say(type="calm", calls=self.library.calm())

    def random(self, count, seed):
        dice = random.Random(int(seed))
        for _ in range(int(count)):
            step = dice.choices(["set", "restore", "push", "pop", "operator"], [12, 2, 2, 2, 3])[0]
            if step in ("set", "restore"):
                getattr(self, step)(dice.randrange(2))
            elif step == "push":
                if len(self.entered) < MAX_MODES:
                    kinds = ["proxy", "derived", "functional", "other"]
                    self.push(dice.choices(kinds, [4, 1, 1, 2])[0])
            else:
                getattr(self, step)()
        self.unwind()

    def together(self, threads, count, seed):
        # All at once: a thread that begins after another has ended may get its number.
        started = threading.Barrier(int(threads))

        def body(index):
            started.wait()
            Thread(self.library).random(count, int(seed) + index)

        workers = [threading.Thread(target=body, args=(i,)) for i in range(int(threads))]
        for worker in workers:
            worker.start()
        for worker in workers:
            join(worker)

    def unwind(self):
        while self.entered:
            self.pop()

    def run(self, words):
        """One command; False for `end`."""
        if words[0] != "end":
            getattr(self, words[0])(*words[1:])
        say(
            type="done",
            command=" ".join(words),
            tid=threading.get_native_id(),
            mono_ns=time.monotonic_ns(),
        )
        return words[0] != "end"


def serve(library, commands):
    thread = Thread(library)
    while (words := commands.get()) is not None and thread.run(words):
        pass
    # Whatever is still entered is dropped by the library when the thread ends, as in PyTorch.


def main():
    library = Library(sys.argv[1])
    own = Thread(library)
    others = {}
    say(type="ready", tid=threading.get_native_id(), keyed=library.keyed)
    for line in sys.stdin:
        words = line.split()
        if not words:
            continue
        if not words[0].startswith("@"):
            own.run(words)
            continue
        name = words.pop(0)
        if name not in others:
            commands = queue.Queue()
            worker = threading.Thread(target=serve, args=(library, commands))
            worker.start()
            others[name] = (worker, commands)
        worker, commands = others[name]
        commands.put(words)
        if words[0] == "end":
            join(worker)
            del others[name]
    for worker, commands in others.values():
        commands.put(None)
        join(worker)


if __name__ == "__main__":
    main()
