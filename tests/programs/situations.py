# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways in which a grad mode changes round a trace, one after the other: what of it is seen?

Each runs under a process name of its own, which is in every event. Prints a JSON line for each:
whether this PyTorch can do it.
"""

import ctypes
import json
import sys
import threading

import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

PR_SET_NAME = 15
x = torch.ones(3, requires_grad=True)


class Block(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x * 2
        return x + y


class Decorated(nn.Module):
    @torch.no_grad()
    def forward(self, x):
        return x * 2


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def no_grad_block():
    make_fx(Block())(x)


def no_grad_decor():
    make_fx(Decorated())(x)


def fx_pre_dispatch():
    def traced(x):  # of its own: the same place in the same kind of trace is told once
        with torch.no_grad():
            y = x * 2
        return x + y

    make_fx(traced, pre_dispatch=True)(x)


def bare_call():
    def traced(x):
        torch.set_grad_enabled(False)
        y = x * 2
        torch.set_grad_enabled(True)
        return y

    make_fx(traced)(x)


def other_thread():
    def traced(x):
        with torch.no_grad():
            return x * 2

    def run():
        name("other_thread")
        make_fx(traced)(x)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def not_put_back():
    make_fx(lambda x: (torch._C._set_grad_enabled(False), x * 2)[1])(x)


def inference():
    def traced(x):
        with torch.inference_mode():
            y = x.detach() * 2
        return x + y

    make_fx(traced)(x)


def inference_empty():
    def traced(x):
        with torch.inference_mode():
            pass
        return x * 2

    make_fx(traced)(x)


def custom_function():
    make_fx(Double.apply)(x)


def backward():
    make_fx(lambda x: torch.autograd.grad((x * x).sum(), x))(x)


def compile_aot():
    torch.compile(Block(), backend="aot_eager")(x)


def export_default():
    torch.export.export(Block(), (x,))


def export_aten():
    from torch.export._trace import _export

    _export(Block(), (x.detach(),), pre_dispatch=False)


def decompositions():
    torch.export.export(Block(), (x,)).run_decompositions()


SITUATIONS = [
    no_grad_block,
    no_grad_decor,
    bare_call,
    other_thread,
    not_put_back,
    inference,
    inference_empty,
    custom_function,
    backward,
    compile_aot,
    fx_pre_dispatch,
    export_default,
    export_aten,
    decompositions,
]


def name(text):
    """Names the thread, and with it its events."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, text.encode(), 0, 0, 0)


def main():
    for situation in SITUATIONS:
        name(situation.__name__)
        try:
            situation()
            error = None
        except Exception as failure:  # this PyTorch cannot do it, which is told
            error = f"{type(failure).__name__}: {failure}"
        name("between")
        torch._C._set_grad_enabled(True)
        sys.stdout.write(json.dumps({"situation": situation.__name__, "error": error}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
