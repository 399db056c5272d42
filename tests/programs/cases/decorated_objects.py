# SPDX-License-Identifier: GPL-2.0-or-later
"""no_grad() of what is no plain function: a module, a partial, a C function, an object, a hook."""

import functools

import torch
from torch.fx.experimental.proxy_tensor import make_fx


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x)  # NET


class Call:
    def __call__(self, x):
        return x.cos()  # CALL


net, hooked = Net(), Net()
hooked.register_forward_pre_hook(torch.no_grad()(lambda module, args: (args[0].sin(),)))  # HOOK
frozen = {
    "net": torch.no_grad()(net),
    "layer": torch.no_grad()(torch.nn.Linear(3, 3)),
    "partial": torch.no_grad()(functools.partial(torch.add, alpha=2)),
    "tanh": torch.no_grad()(torch.tanh),
    "object": torch.no_grad()(Call()),
    "hook": hooked,
}


def trace(name, function):
    def traced(x):
        args = (x, x) if name == "partial" else (x,)
        return function(*args) + x  # CULPRIT

    make_fx(traced)(torch.ones(3, requires_grad=True))


for one in frozen.items():
    trace(*one)

make_fx(frozen["net"])(torch.ones(3, requires_grad=True))  # DIRECT
