# SPDX-License-Identifier: GPL-2.0-or-later
"""A PyTorch process that does what it is told, one step at a time.

Reads commands from standard input, one a line, and answers each with a line of JSON when it is
done. "@NAME COMMAND" runs in thread NAME, made when first named.

  load                    import torch and the oracle (done at the start, unless --bare is given)
  set 0|1                 torch._C._set_grad_enabled
  block KIND              enter no_grad, enable_grad or inference_mode; "end" leaves it
  trace [MODE]            enter a trace: what follows is run by make_fx, until "end" or "raise"
  end                     leave the innermost block or trace; outside of them: end the thread
  raise                   leave the innermost trace by an exception
  operator                one traced operator
  hold                    keep the mode object of the trace alive
  generator new|next      a generator with a no_grad block around its first yield
  loop N [keep]           make_fx of the same small function N times; answers with the nodes.
                          keep: the graphs live on, and nobody collects garbage
  idle                    nothing: a thread may have to be made first
  storm N                 change the grad mode N times, without noting the calls
  vanish                  end this thread at once, as C code can: nothing is unwound, no answer
  name HEX                set the name of the process
  fork COMMAND;COMMAND    run commands in a forked child; answers with its pid when it has ended
  exec [ARGS]             become a new puppet
  calls                   the oracle's calls so far, of this process
"""

import ctypes
import json
import os
import queue
import sys
import threading

output_lock = threading.Lock()


def say(**fields):
    with output_lock:
        # In one write: a forked child shares the pipe.
        os.write(1, (json.dumps(fields) + "\n").encode())


class Leave(BaseException):
    """Out of the trace; not an Exception, so that nothing in torch handles it."""


def load():
    global oracle, torch, make_fx, python_dispatch
    import oracle
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.utils import _python_dispatch as python_dispatch

    torch.set_num_threads(1)
    oracle.install()


class Thread:
    """The commands of one thread, as a generator of words."""

    def __init__(self, commands):
        self.commands = commands
        self.answer = None
        self.x = None
        self.generator = None
        self.kept = []

    def reply(self, **fields):
        say(tid=threading.get_native_id(), pid=os.getpid(), **fields)

    def serve(self, inside):
        """Runs commands until "end". What encloses them in Python is what encloses them here."""
        while True:
            words = next(self.commands, None)
            if words is None or words[0] == "end":
                if not inside:
                    self.reply(done="end")
                return
            try:
                fields = getattr(self, "do_" + words[0])(*words[1:]) or {}
            except Exception as error:  # for the test to see
                fields = {"error": f"{type(error).__name__}: {error}"}
            if fields is not self:
                self.reply(done=" ".join(words), **fields)

    def do_load(self):
        load()

    def do_set(self, value):
        torch._C._set_grad_enabled(value == "1")
        call = oracle.calls[-1]
        return {"call": call._asdict(), "violation": oracle.verdict(call)}

    def do_block(self, kind):
        with getattr(torch, kind)():
            self.reply(done="block", begun=True)
            self.serve(True)
        return {"left": "block"}

    def do_trace(self, mode="real"):
        def body(x):
            self.reply(done="trace", begun=True)
            outer, self.x = self.x, x
            try:
                self.serve(True)
                return self.x + 1
            finally:
                self.x = outer

        try:
            graph = make_fx(body, tracing_mode=mode)(torch.ones(2)).graph
        except Leave:
            return {"left": "trace", "raised": True}
        return {"left": "trace", "operators": operators(graph)}

    def do_raise(self):
        raise Leave

    def do_operator(self):
        self.x = self.x * 2

    def do_hold(self):
        self.kept.append(oracle.modes()[-1])

    def do_again(self):
        """Pushes the mode that is held, and pops it: by hand, so that it is not left."""
        mode = self.kept[-1]
        python_dispatch._push_mode(mode)
        torch._C._set_grad_enabled(False)
        key = getattr(mode, "_mode_key", None)
        python_dispatch._pop_mode(*([key] if key else []))

    def do_generator(self, what):
        if what == "new":
            self.generator = suspended()
        next(self.generator)

    def do_loop(self, count, *keep):
        traced = []
        counts = []
        for _ in range(int(count)):
            traced.append(make_fx(small)(torch.ones(2)))
            counts.append(operators(traced[-1].graph))
            if not keep:
                traced.clear()
                oracle.collect()  # the mode object, which some versions have in a cycle
        self.kept += traced
        return {"operators": counts}

    def do_idle(self):
        pass

    def do_storm(self, count):
        flip = oracle.real_set_grad_enabled
        grad = oracle.is_grad_enabled()
        for _ in range(int(count)):
            grad = not grad
            flip(grad)

    def do_vanish(self):
        # ctypes lets go of the interpreter's lock around the call, so the others go on.
        ctypes.CDLL(None).syscall(60, 0)  # exit of this thread alone

    def do_name(self, name):
        libc = ctypes.CDLL(None)
        libc.prctl(15, ctypes.c_char_p(bytes.fromhex(name)), 0, 0, 0)  # PR_SET_NAME

    def do_fork(self, *words):
        commands = [command.split() for command in " ".join(words).split(";")]
        child = os.fork()
        if child == 0:
            try:
                Thread(iter(commands)).serve(True)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        return {"child": child}

    def do_exec(self, *arguments):
        os.execv(sys.executable, [sys.executable, __file__, *arguments])

    def do_calls(self):
        calls = [{**call._asdict(), "violation": oracle.verdict(call)} for call in oracle.calls]
        return {"calls": calls}


def operators(graph):
    return sum(node.op == "call_function" for node in graph.nodes)


def small(x):
    """Four operators, two changes of the grad mode."""
    x = (x + 1) * 2
    with torch.no_grad():
        y = x.relu()
    return x + y


def suspended():
    with torch.no_grad():
        yield
    yield


def commands_of(pipe):
    while (words := pipe.get()) is not None:
        yield words


def main():
    if "--bare" not in sys.argv[1:]:
        load()
    own = queue.Queue()
    others = {}

    def read():
        # Byte by byte: what follows an exec is for the next program.
        for line in iter(lambda: read_line(0), ""):
            words = line.split()
            pipe = own
            if words[0].startswith("@"):
                name = words.pop(0)
                if name not in others:
                    others[name] = queue.Queue()
                    thread = Thread(commands_of(others[name]))
                    threading.Thread(target=thread.serve, args=(False,)).start()
                pipe = others[name]
            pipe.put(words)
        for pipe in (own, *others.values()):
            pipe.put(None)

    threading.Thread(target=read, daemon=True).start()
    say(done="ready", pid=os.getpid(), tid=threading.get_native_id())
    Thread(commands_of(own)).serve(False)


def read_line(fd):
    line = b""
    while byte := os.read(fd, 1):
        if byte == b"\n":
            break
        line += byte
    return line.decode()


if __name__ == "__main__":
    main()
