# SPDX-License-Identifier: GPL-2.0-or-later
"""An in-process judge of grad-mode changes, to compare gradwatch with.

It replaces `torch._C._set_grad_enabled`, which every Python way of changing the grad mode looks up
by name at the call, and notes each call that really reaches c10::GradMode::set_enabled:

* With a torch-function mode in force, the builtin does not act itself. It hands the call to the
  mode, which usually looks the function up again and calls it: the inner call is the one that
  acts, and a call without an inner one was swallowed.
* The program must not let the garbage collector run by itself: it may close a generator between
  two lines of the replacement, and that may change the grad mode. collect() does it in between.
* The verdict is that of the rule: a ProxyTorchDispatchMode that is not in pre-dispatch is engaged
  on the C++ side, and the grad mode is another one after the call than before.

A hook by `sys.setprofile` would leave the function alone, but it misses calls that C code makes, it
is not told the argument, it slows tracing several times, and Dynamo of some versions compiles
the hook. Dynamo knows the function by name in `torch._C`, so the replacement passes for it.
"""

import gc
import json
import threading
import time
from collections import namedtuple

import torch
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode

Call = namedtuple("Call", "tid before_ns after_ns current new engaged changed swallowed")

real_set_grad_enabled = torch._C._set_grad_enabled
is_grad_enabled = torch._C.is_grad_enabled if hasattr(torch._C, "is_grad_enabled") else None
is_grad_enabled = is_grad_enabled or torch.is_grad_enabled

calls = []  # list.append is atomic: threads share it
_thread = threading.local()


def _keyed_mode():
    """The mode in the slot of the tracing mode."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY)


def _stacked_modes():
    """The modes of builds without slots, innermost last."""
    count = torch._C._len_torch_dispatch_stack()
    return [torch._C._get_dispatch_stack_at(index) for index in range(count)]


def keyed():
    return hasattr(torch._C, "_get_dispatch_mode")


def _is_tracing(mode):
    return isinstance(mode, ProxyTorchDispatchMode) and not getattr(mode, "pre_dispatch", False)


def modes():
    """The modes that tracing ones are among, innermost last."""
    return [_keyed_mode()] if keyed() else _stacked_modes()


def tracing():
    """Whether a ProxyTorchDispatchMode is engaged on this thread's C++ side."""
    return any(_is_tracing(mode) for mode in modes())


def _hands_over():
    """Whether the builtin hands its calls to torch-function modes: it began to in 2.0."""
    try:
        from torch.overrides import TorchFunctionMode
    except ImportError:
        return False
    seen = []

    class Probe(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)

    with Probe():
        real_set_grad_enabled(is_grad_enabled())
    return bool(seen)


HANDS_OVER = _hands_over()


def _function_mode_in_force():
    # The low-level guard (DisableTorchFunction) switches modes off, and this call knows.
    return HANDS_OVER and torch._C._is_torch_function_mode_enabled()


def set_grad_enabled(*args, **kwargs):
    """What the program calls in place of the builtin."""
    # Noted on this thread so far: a step means that calls were made inside of this one.
    inside = getattr(_thread, "noted", 0)
    handed_over = _function_mode_in_force()
    engaged = tracing()
    current = is_grad_enabled()
    before_ns = time.monotonic_ns()
    result = real_set_grad_enabled(*args, **kwargs)
    after_ns = time.monotonic_ns()
    now = is_grad_enabled()
    # Without a mode, inner calls are of something else: a generator that was collected here.
    if handed_over and getattr(_thread, "noted", 0) != inside:
        return result
    _thread.noted = getattr(_thread, "noted", 0) + 1
    swallowed = handed_over
    new = now if swallowed else bool(args[0] if args else next(iter(kwargs.values())))
    calls.append(
        Call(
            tid=threading.get_native_id(),
            before_ns=before_ns,
            after_ns=after_ns,
            current=current,
            new=new,
            engaged=engaged,
            changed=current != now,
            swallowed=swallowed,
        )
    )
    return result


def noted_here():
    """How many calls this thread has made."""
    return getattr(_thread, "noted", 0)


def collect():
    gc.collect()


def install():
    gc.disable()
    # Graphs print and look up their functions by these names.
    set_grad_enabled.__name__ = set_grad_enabled.__qualname__ = "_set_grad_enabled"
    set_grad_enabled.__module__ = "torch._C"
    torch._C._set_grad_enabled = set_grad_enabled


def verdict(call):
    return call.engaged and call.changed and not call.swallowed


def save(path):
    """Writes the calls as JSON Lines; returns how many of which kind."""
    noted = list(calls)
    with open(path, "w", encoding="utf-8") as file:
        for call in noted:
            file.write(json.dumps({**call._asdict(), "violation": verdict(call)}) + "\n")
    return {
        "calls": len(noted),
        "violations": sum(verdict(call) for call in noted),
        "redundant": sum(c.engaged and not c.changed and not c.swallowed for c in noted),
        "swallowed": sum(c.swallowed for c in noted),
        "threads": len({call.tid for call in noted}),
    }
