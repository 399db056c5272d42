# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of the grad mode in traces that somebody may not allow: enforced.py SCENE [N].

Says "ready", waits for a line of input, and answers with one line of JSON: for each attempt the
form of the call, what was raised ("" for nothing), the line in the traceback where that was, and
the grad mode before and after it. What must be left as it is, is compared here: reference counts of
the objects at hand, the argument tuples, other exceptions in flight. NAME in the environment is
what the process calls itself.

  forms        each way to call the setter once, every exception caught
  uncaught     one violation, that nobody catches
  many N       N violations in a row, by one thread, in one trace
  threads N    N by each of 8 threads at the same time, each in a trace of its own
  pause        a no_grad block, once another line of input has come in the middle of a trace
  inside       the end of a no_grad block, once another line of input has come inside of it
  backward N   N traces of a backward pass whose own code enters a block of enable_grad
  autograd     only what autograd does by itself: a custom Function, and a backward pass
  leaderless   one violation in a thread, after the first thread has ended and a line has come
  spawning N   N violations, while another thread waits for a child that does not come to its exec
  own          make_fx of an nn.Module whose forward is decorated
  native       a change that comes by a C++ guard, not by Python's function
  handler      one violation, with a handler of Python for SIGTERM
  blocked      one violation, with SIGTERM blocked
  faulthandler one violation, with faulthandler enabled
"""

import ctypes
import faulthandler
import functools
import json
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time

import torch
from torch.fx.experimental.proxy_tensor import make_fx

torch.set_num_threads(1)
setter = torch._C._set_grad_enabled
attempts = []
HERE = os.path.basename(__file__)


def line_of(error):
    """The innermost line of this file in a traceback."""
    found, at = 0, error.__traceback__
    while at:
        if os.path.basename(at.tb_frame.f_code.co_filename) == HERE:
            found = at.tb_lineno
        at = at.tb_next
    return found


def attempt(form, call):
    """Makes a change, or is not let; then puts the grad mode back."""
    before = torch.is_grad_enabled()
    counts = [sys.getrefcount(thing) for thing in (RuntimeError, False, True, setter, ())]
    error = None
    try:
        call()
    except Exception as caught:
        error = caught
    told = [type(error).__name__, str(error), line_of(error)] if error else ["", "", 0]
    error = None
    now = [sys.getrefcount(thing) for thing in (RuntimeError, False, True, setter, ())]
    attempts.append(
        {
            "form": form,
            "error": told[0],
            "text": told[1],
            "line": told[2],
            "before": before,
            "after": torch.is_grad_enabled(),
            "counts": [b - a for a, b in zip(counts, now)],
            "wanted_line": call.__code__.co_firstlineno if hasattr(call, "__code__") else 0,
        }
    )
    if torch.is_grad_enabled() != before:
        setter(before)


def block():
    with torch.no_grad():
        pass


@torch.no_grad()
def decorated():
    pass


shared = (False,)
partial = functools.partial(setter, False)
FORMS = {
    "direct": lambda: setter(False),
    "star": lambda: setter(*shared),
    "partial": lambda: partial(),
    "map": lambda: list(map(setter, [False])),
    "apply": lambda: torch.set_grad_enabled(False),
    "with": block,
    "decorator": decorated,
    "again": lambda: setter(False),
}
KEYWORD_FORMS = {
    "keyword": lambda: setter(enabled=False),
    "double_star": lambda: setter(**{"enabled": False}),
    "partial_keyword": lambda: functools.partial(setter, enabled=False)(),
}
ALLOWED = {
    "redundant": lambda: setter(True),
    "inquiry": lambda: torch.is_grad_enabled(),
}


def takes_keywords():
    try:
        setter(enabled=True)
    except TypeError:
        return False
    return True


def traced(body):
    """Runs a body in a trace, with operators round it; what it makes of the graph is checked."""

    def function(x):
        y = x * 2
        body()
        return y + 1

    graph = make_fx(function)(torch.ones(2))
    assert graph(torch.ones(2)).tolist() == [3.0, 3.0]


def scene_forms(_):
    keywords = KEYWORD_FORMS if takes_keywords() else {}

    def body():
        for form, call in {**FORMS, **keywords, **ALLOWED}.items():
            attempt(form, call)
        try:
            raise KeyError("in flight")
        except KeyError as error:
            attempt("in_flight", FORMS["direct"])
            assert sys.exc_info()[1] is error
        attempt("last", FORMS["direct"])

    traced(body)
    attempt("outside", FORMS["direct"])
    assert shared == (False,) and partial.args == (False,)


def scene_uncaught(_):
    traced(FORMS["direct"])


def scene_many(count):
    traced(lambda: [attempt("many", FORMS["direct"]) for _ in range(count)])


def scene_threads(count):
    """FX wants traces to be left in the order of a stack."""
    threads = 8
    turns = [threading.Event() for _ in range(2 * threads)]
    together = threading.Barrier(threads)

    def run(number):
        def body():
            turns[number].set()
            together.wait()
            for _ in range(count):
                attempt(f"thread {number}", FORMS["direct"])
            together.wait()
            if number < threads - 1:
                turns[threads + number + 1].wait()

        if number:
            turns[number - 1].wait()
        traced(body)
        turns[threads + number].set()

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def scene_pause(_):
    def body():
        os.write(1, b"traced\n")
        sys.stdin.readline()
        block()

    traced(body)


def scene_inside(_):
    def body():
        with torch.no_grad():
            os.write(1, b"traced\n")
            sys.stdin.readline()
        attempts.append({"after": torch.is_grad_enabled()})

    traced(body)


class Departs(torch.autograd.Function):
    """Its backward enters a block with grad, in which autograd has turned it off."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        def enter():
            with torch.enable_grad():
                gradient * 2

        attempt("backward", enter)
        return gradient


class Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def backward_of(function):
    def traced_function(x):
        y = function.apply(x)
        (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
        return y + gradient

    make_fx(traced_function)(torch.ones(2, requires_grad=True))
    attempts.append({"after": torch.is_grad_enabled()})


def scene_backward(count):
    for _ in range(count):
        backward_of(Departs)


def scene_autograd(_):
    backward_of(Plain)


def scene_leaderless(_):
    def run():
        os.write(1, b"alone\n")
        sys.stdin.readline()
        traced(FORMS["direct"])
        os.write(1, b"done\n")
        os._exit(0)

    threading.Thread(target=run).start()
    ctypes.CDLL(None).syscall(60, 0)  # exit of this thread alone


def spawn_from(fifo):
    """
    Starts a program whose standard input is a FIFO that nobody has opened for writing. The caller
    waits in the kernel for it to exec, where no signal reaches it.
    """
    libc = ctypes.CDLL(None)
    actions, pid = ctypes.create_string_buffer(256), ctypes.c_int()
    argv = (ctypes.c_char_p * 2)(b"true", None)
    libc.posix_spawn_file_actions_init(actions)
    libc.posix_spawn_file_actions_addopen(actions, 0, fifo.encode(), os.O_RDONLY, 0)
    libc.posix_spawn(ctypes.byref(pid), b"/bin/true", actions, None, argv, None)
    os.waitpid(pid.value, 0)


def scene_spawning(count):
    fifo = os.path.join(tempfile.mkdtemp(), "fifo")
    os.mkfifo(fifo)
    thread = threading.Thread(target=spawn_from, args=(fifo,))
    thread.start()
    stat = pathlib.Path(f"/proc/self/task/{thread.native_id}/stat")
    while " D " not in stat.read_text():
        time.sleep(0.01)
    scene_many(count)
    os.close(os.open(fifo, os.O_WRONLY))
    thread.join()


def scene_own(_):
    class Net(torch.nn.Module):
        @torch.no_grad()
        def forward(self, x):
            return x * 2

    net = Net()
    attempt("own", lambda: make_fx(net)(torch.ones(2)))


def scene_native(_):
    """c10::GradMode::set_enabled, called as a C++ extension does."""
    library = os.path.join(os.path.dirname(torch.__file__), "lib", "libc10.so")
    native = ctypes.CDLL(library)._ZN3c108GradMode11set_enabledEb
    native.argtypes, native.restype = [ctypes.c_bool], None
    traced(lambda: attempt("native", lambda: native(False)))


def scene_handler(_):
    signal.signal(signal.SIGTERM, lambda *_: None)
    traced(lambda: attempt("handler", FORMS["direct"]))


def scene_blocked(_):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    traced(lambda: attempt("blocked", FORMS["direct"]))


def scene_faulthandler(_):
    faulthandler.enable()
    traced(lambda: attempt("faulthandler", FORMS["direct"]))


def main():
    if os.environ.get("NAME"):
        PR_SET_NAME = 15
        ctypes.CDLL(None).prctl(PR_SET_NAME, os.environ["NAME"].encode(), 0, 0, 0)
    scene, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    traced(lambda: None)  # what is made on first use is made
    os.write(1, b"ready\n")
    sys.stdin.readline()
    try:
        globals()["scene_" + scene](count)
    finally:
        os.write(1, (json.dumps(attempts) + "\n").encode())


if __name__ == "__main__":
    main()
