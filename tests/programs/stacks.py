# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes the grad mode in a trace from all kinds of callers, and notes the Python stack of each.

stacks.py WHERE FILE [HOW]: WHERE is "torch", or the path of a stand-in for libc10. FILE gets a JSON
line per change: pid, tid, time before and after, frames (file, name, line), innermost first, as
sys._getframe() shows them on the very line of the call. HOW: "all" (default), or one way to end:
"kill" (SIGKILL right after a change).
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time

CALLBACK = ctypes.CFUNCTYPE(None)
KILL_AFTER = 3

setter = getter = traced = out = None
left = None  # changes until it kills itself


def note(frame):
    """The stack of a frame, as a JSON line without the time after."""
    frames = []
    while frame:
        code = frame.f_code
        frames.append(
            [code.co_filename, getattr(code, "co_qualname", code.co_name), frame.f_lineno]
        )
        frame = frame.f_back
    fields = {"pid": os.getpid(), "tid": threading.get_native_id(), "frames": frames}
    out.write(json.dumps(dict(fields, before=time.monotonic_ns())) + "\n")
    out.flush()


def last():
    """Nothing is written after this."""
    global left
    if left is not None:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)


def hit():
    note(sys._getframe()), setter(not getter()), last()


# --- callers -------------------------------------------------------------------------------------


class Base:
    def method(self):
        hit()

    @classmethod
    def of_class(cls):
        hit()

    @staticmethod
    def static():
        hit()

    @property
    def value(self):
        hit()

    def __getattr__(self, name):
        hit()
        return name

    def __call__(self):
        hit()

    def __enter__(self):
        hit()

    def __exit__(self, *exception):
        hit()

    def __eq__(self, other):
        hit()
        return True

    __hash__ = None


class Made:
    def __init__(self):
        hit()


class Meta(type):
    def __new__(cls, name, bases, fields):
        hit()
        return super().__new__(cls, name, bases, fields)


def decorated(function):
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


@decorated
def through_decorator():
    hit()


def numbers():
    hit()
    yield 1
    hit()
    yield 2


def delegating():
    yield from numbers()


async def coroutine():
    hit()
    await inner()


async def inner():
    hit()


async def async_numbers():
    hit()
    yield 1


async def async_loop():
    async for _ in async_numbers():
        hit()


def run(coro):
    with contextlib.suppress(StopIteration):
        coro.send(None)


def recursive(depth):
    if depth:
        recursive(depth - 1)
    else:
        hit()


def in_except():
    try:
        raise ValueError
    except ValueError:
        hit()
    finally:
        hit()


def größe():
    hit()


def 测试函数():
    hit()


def 𐌰𐌱():
    hit()


def many_lines(
    first=None,
    second=None,
):
    return (
        first,
        hit(),
        second,
    )


SOURCE = """
def made_up():


    hit()
made_up()
"""


def operations():
    base = Base()
    base.method()
    Base.of_class()
    Base.static()
    base.value  # noqa: B018
    base.anything  # noqa: B018
    base()
    with base:
        hit()
    base == base  # noqa: B015
    Meta("New", (), {})
    through_decorator()
    list(numbers())
    list(delegating())
    [hit() for _ in range(2)]
    {hit(): 1 for _ in range(2)}
    list(hit() for _ in range(2))
    list(map(lambda _: hit(), range(2)))
    sorted([3, 1, 2], key=lambda _: hit() or 0)
    run(coroutine())
    run(async_loop())
    in_except()
    größe()
    测试函数()
    𐌰𐌱()
    many_lines()
    exec(compile(SOURCE, "/nowhere/файл.py", "exec"), {"hit": hit})
    CALLBACK(hit)()
    list(map(lambda _: list(map(lambda _: CALLBACK(base)(), [0])), [0]))


REPLACED = """
def made_{0}():
    {1}hit()
made_{0}()
"""


def replaced():
    """Code that is freed before the next is made: that gets its address, and its frame's."""
    for number in range(60):
        text = REPLACED.format(number, "0\n    " * (number % 7))
        exec(compile(text, f"/nowhere/{number}.py", "exec"), {"hit": hit})


def constructors():
    for _ in range(120):  # a call site that is specialised after some
        Made()


def deep():
    for depth in (10, 30, 60, 100, 300):
        recursive(depth)


def everything():
    for _ in range(3):
        operations()
    constructors()
    replaced()
    deep()


def forked():
    pid = os.fork()
    if not pid:
        operations()
        os._exit(0)
    os.waitpid(pid, 0)


# --- where ---------------------------------------------------------------------------------------


def use_torch():
    global setter, getter, traced
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    torch.set_num_threads(1)
    setter, getter = torch._C._set_grad_enabled, torch.is_grad_enabled

    def traced(body):
        def function(x):
            body()
            return x

        make_fx(function)(torch.ones(1))


class ProxyTorchDispatchMode:
    """Recognised by its name, as PyTorch's class of this name is."""


def use_standin(path):
    global setter, getter, traced
    native = ctypes.PyDLL(path)
    setter = native._ZN3c108GradMode11set_enabledEb
    setter.argtypes, setter.restype = [ctypes.c_bool], None
    getter = native._ZN3c108GradMode10is_enabledEv
    getter.restype = ctypes.c_bool
    native.standin_push.argtypes = [ctypes.py_object, ctypes.c_int]

    def traced(body):
        mode = ProxyTorchDispatchMode()
        native.standin_push(mode, 1)
        body()
        native.standin_pop(1)


def main():
    global out, left
    where, path, how = (sys.argv + ["all"])[1:4]
    sys.setrecursionlimit(2000)
    if where == "torch":
        use_torch()
    else:
        use_standin(where)
    out = open(path, "a")  # noqa: SIM115 - open until the process is killed
    print("ready", flush=True)
    sys.stdin.readline()
    if how == "kill":
        left = KILL_AFTER
    traced(everything)
    traced(forked)
    thread = threading.Thread(target=lambda: traced(operations))
    thread.start()
    thread.join()
    print("done", flush=True)


if __name__ == "__main__":
    main()
