# SPDX-License-Identifier: GPL-2.0-or-later
"""Forward, backward and an update under no_grad() in one graph, for several parameters."""

import torch
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 1))
parameters = {
    name: value.detach().clone().requires_grad_() for name, value in net.named_parameters()
}


def update(parameter, gradient):
    with torch.no_grad():  # CULPRIT
        return parameter - 0.01 * gradient


def step(parameters, batch):
    loss = functional_call(net, parameters, (batch,)).square().sum()
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    return [update(*pair) for pair in zip(parameters.values(), gradients)]


make_fx(step)(parameters, torch.randn(3, 4))
