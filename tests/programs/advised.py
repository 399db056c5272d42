# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of the grad mode, and what gradwatch advises about them: advised.py plain|applied|wrong
[CASE].

Each case runs under a process name of its own, which is in every event. Prints a JSON line for
each: its name, the targets of the calls in its graph, and the error if it did not trace.
"""

import ctypes
import json
import logging
import sys
import warnings

import torch
from torch import nn
from torch.export._trace import _export
from torch.func import grad, vmap
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode, PythonKeyTracer, make_fx

PR_SET_NAME = 15
x = torch.ones(3, requires_grad=True)
y = torch.ones(3)


def block(v):
    with torch.no_grad():
        u = v * 2
    return u + v


def enabled(v):
    with torch.enable_grad():
        return v * 3


def nested(v):
    with torch.no_grad():
        u = v * 2
        with torch.enable_grad():
            u = u * 3
    return u + v


def nested_off(v):
    with torch.enable_grad():
        u = v * 2
        with torch.no_grad():
            u = u * 3
    return u


def step(p, v):
    (g,) = torch.autograd.grad((p * v).sum(), p)
    with torch.no_grad():
        return p - 0.1 * g


def force(v):
    with torch.enable_grad():
        return -grad(lambda u: (u * u).sum())(v)


def inference(v):
    with torch.inference_mode():
        u = v.detach() * 2
    return v + u


def not_recorded(v):
    with torch.no_grad():
        u = v.detach() * 2
    return v + u


def step_not_recorded(p, v):
    (g,) = torch.autograd.grad((p * v).sum(), p)
    with torch.no_grad():
        u = g.detach() * 0.1
    return p - u


def step_inference(p, v):
    (g,) = torch.autograd.grad((p * v).sum(), p)
    with torch.inference_mode():
        u = g.detach() * 0.1
    return p - u


def inference_off(v):
    with torch.inference_mode(False):
        u = v.clone() * 2
    return u + 1


def inference_off_in_no_grad(v):
    with torch.no_grad():
        u = v * 2
        with torch.inference_mode(False):
            w = v * 3
    return u + w


def enabled_in_no_grad(v):
    with torch.no_grad():
        u = v * 2
        with torch.enable_grad():
            w = v * 3
    return u + w


def left_off(v):
    torch._C._set_grad_enabled(False)
    return v * 2


def put_back(v):
    torch._C._set_grad_enabled(False)
    u = v * 2
    torch._C._set_grad_enabled(True)
    return u


def normed(v):
    return spectral.weight.sum() + v


class Block(nn.Module):
    def forward(self, v):
        return block(v)


class Enabled(nn.Module):
    def forward(self, v):
        return enabled(v)


class Decorated(nn.Module):
    @torch.no_grad()
    def forward(self, v):
        return v * 2


class Relu(nn.Module):
    def forward(self, v):
        return v.relu()


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        return v * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


class Bare(nn.Module):
    def forward(self, v):
        return v * 2


def fx(function, *arguments, **options):
    return make_fx(function, **options)(*(arguments or (x,)))


def by_hand(function, v):
    """A trace by something that torch does not bring along."""
    tracer = PythonKeyTracer()
    tracer.root, tracer.graph, tracer.tensor_attrs = nn.Module(), torch.fx.Graph(), {}
    with ProxyTorchDispatchMode(tracer, "real"):
        function(v)
    return tracer.graph


def export(model, **options):
    return _export(model, (y,), **options).graph


def default(model):
    return torch.export.export(model, (y,)).graph


def decomposed():
    program = torch.export.export(Relu(), (y,))
    with torch.no_grad():
        return program.run_decompositions({torch.ops.aten.relu.default: enabled}).graph


def within(manager, function, *arguments, **options):
    with manager:
        return function(*arguments, **options)


spectral = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))

# What is found, and what its advice makes of it.
PLAIN = {
    "block": lambda: fx(block),
    "step": lambda: fx(step, x, y),
    "nested": lambda: fx(nested),
    "enabled": lambda: within(torch.no_grad(), fx, enabled),
    "force": lambda: within(torch.no_grad(), fx, vmap(force), torch.ones(2, 3)),
    "nested_off": lambda: within(torch.no_grad(), fx, nested_off),
    "normed": lambda: fx(normed, y),
    "strict": lambda: export(Block(), pre_dispatch=False, strict=True),
    "exp_enabled": lambda: export(Enabled(), pre_dispatch=False, strict=False),
    "region": lambda: default(Block()),
    "region_all": lambda: default(Decorated()),
    "region_on": lambda: within(torch.no_grad(), default, Enabled()),
    "inference": lambda: fx(inference),
    "step_inf": lambda: fx(step_inference, x, y),
    "inf_off": lambda: within(torch.inference_mode(), fx, inference_off, y),
    "inf_false": lambda: fx(inference_off_in_no_grad),
    "left_off": lambda: fx(left_off),
    "hand": lambda: by_hand(block, y),
    "hand_on": lambda: within(torch.no_grad(), by_hand, enabled, y),
    "decomposed": decomposed,
    "custom": lambda: fx(Double.apply),
    "autograd": lambda: fx(lambda v: torch.autograd.grad((v * v).sum(), v)[0]),
    "compiled": lambda: torch.compile(Block(), backend="aot_eager")(x),
    "recorded": lambda: fx(enabled_in_no_grad, pre_dispatch=True),
}
APPLIED = {
    "block": lambda: fx(block, pre_dispatch=True),
    "block.around": lambda: within(torch.no_grad(), fx, block),
    "step": lambda: fx(step, x, y, pre_dispatch=True),
    "nested": lambda: fx(nested, pre_dispatch=True),
    "enabled": lambda: within(torch.enable_grad(), fx, enabled),
    "force": lambda: within(torch.enable_grad(), fx, vmap(force), torch.ones(2, 3)),
    "enabled.pre": lambda: within(torch.no_grad(), fx, enabled, pre_dispatch=True),
    "nested_off": lambda: within(torch.no_grad(), fx, nested_off, pre_dispatch=True),
    "normed": lambda: fx(normed, y, pre_dispatch=True),
    "strict": lambda: export(Block(), pre_dispatch=True, strict=True),
    "exp_enabled": lambda: export(Enabled(), pre_dispatch=True, strict=False),
    "region": lambda: default(Bare()),
    "region.around": lambda: within(torch.no_grad(), default, Block()),
    "region_all": lambda: default(Bare()),
    "region_all.a": lambda: within(torch.no_grad(), default, Decorated()),
    "region_on": lambda: within(torch.enable_grad(), default, Enabled()),
    "inference": lambda: fx(not_recorded, pre_dispatch=True),
    "inference.a": lambda: within(torch.inference_mode(), fx, inference),
    "step_inf": lambda: fx(step_not_recorded, x, y, pre_dispatch=True),
    "inf_off": lambda: fx(inference_off, y),
    "inf_false": lambda: fx(enabled_in_no_grad, pre_dispatch=True),
    "left_off": lambda: fx(put_back),
    "hand": lambda: within(torch.no_grad(), by_hand, block, y),
    "hand_on": lambda: within(torch.enable_grad(), by_hand, enabled, y),
}
# What the advice for a trace without a backward pass makes of one that has it.
WRONG = {"step": lambda: within(torch.no_grad(), fx, step, x, y)}
# The code of which the graph is to have the gradients, if it is trained.
EAGER = {"block": block, "nested": nested, "inference": not_recorded}


def name(text):
    ctypes.CDLL(None).prctl(PR_SET_NAME, text.encode(), 0, 0, 0)


def targets(made):
    """The operators, without their overloads, and other calls."""
    graph = getattr(made, "graph", made)
    if not isinstance(graph, torch.fx.Graph):
        return []
    calls = [node.target for node in graph.nodes if node.op == "call_function"]
    return [getattr(call, "__name__", str(call)).split(".")[0] for call in calls]


def gradient(function):
    (result,) = torch.autograd.grad(function(x).sum(), x)
    return result.tolist()


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    cases = {"plain": PLAIN, "applied": APPLIED, "wrong": WRONG}[sys.argv[1]]
    for case, run in cases.items():
        if len(sys.argv) > 2 and case != sys.argv[2]:
            continue
        torch.manual_seed(0)
        answer = {"case": case, "calls": [], "error": None}
        name(case)
        try:
            made = run()
            answer["calls"] = targets(made)
            if case in EAGER:
                answer["gradients"] = [gradient(made), gradient(EAGER[case])]
        except Exception as failure:  # told, and the test's to judge
            answer["error"] = f"{type(failure).__name__}: {failure}"[:200]
        name("between")
        torch._C._set_grad_enabled(True)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
