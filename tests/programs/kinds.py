# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces a model in every way that this PyTorch has: kinds.py toggling|clean.

Each way runs under a process name of its own, which is in every event. Prints a JSON line for each:
its name, the kind of trace it is, and whether this PyTorch can do it.
"""

import ctypes
import json
import sys

import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import (
    ProxyTorchDispatchMode,
    PythonKeyTracer,
    make_fx,
)

PR_SET_NAME = 15


class Clean(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x).relu()


class Toggling(Clean):
    def forward(self, x):
        with torch.no_grad():
            y = self.linear(x)
        return y + x


model = {"toggling": Toggling, "clean": Clean}[sys.argv[1]]()
x = torch.ones(2, 4)


def exported():
    return torch.export.export(model, (x,))


def fx_real():
    make_fx(model)(x)


def fx_fake():
    make_fx(model, tracing_mode="fake")(x)


def fx_symbolic():
    make_fx(model, tracing_mode="symbolic")(x)


def export_aten():
    from torch.export._trace import _export

    with torch.enable_grad():
        _export(model, (x,), pre_dispatch=False)


def decompose():
    exported().run_decompositions()


def decompose_table():
    exported().run_decompositions({})


def compile_aot():
    torch.compile(model, backend="aot_eager")(x)


def by_hand():
    tracer = PythonKeyTracer()
    tracer.root, tracer.graph = nn.Module(), torch.fx.Graph()
    with ProxyTorchDispatchMode(tracer, "real"):
        torch._C._set_grad_enabled(type(model) is Clean)
        torch.ones(2)
        torch._C._set_grad_enabled(True)


def aot_module():
    from torch._functorch.aot_autograd import aot_module

    aot_module(model, lambda graph, inputs: graph)(x)


def fx_pre_dispatch():
    make_fx(model, pre_dispatch=True)(x)


def functionalize():
    make_fx(torch.func.functionalize(model))(x)


WAYS = {
    fx_real: "make_fx",
    fx_fake: "make_fx",
    fx_symbolic: "make_fx",
    functionalize: "make_fx",
    fx_pre_dispatch: "pre_dispatch",
    exported: "export",
    export_aten: "export",
    decompose: "decompose",
    decompose_table: "decompose",
    compile_aot: "compile",
    aot_module: "compile",
    by_hand: "other",
}


def name(text):
    ctypes.CDLL(None).prctl(PR_SET_NAME, text.encode(), 0, 0, 0)


def main():
    for way, kind in WAYS.items():
        name(way.__name__)
        error = None
        try:
            way()
        except Exception as failure:  # this PyTorch cannot do it, or raises for the toggle
            error = f"{type(failure).__name__}: {failure}"[:200]
        name("between")
        torch._C._set_grad_enabled(True)
        sys.stdout.write(json.dumps({"way": way.__name__, "kind": kind, "error": error}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
