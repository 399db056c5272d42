# SPDX-License-Identifier: GPL-2.0-or-later
"""A custom backward begins with enable_grad(); grad is on before and after the backward pass."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx


class Solve(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value)
        return value * value

    @staticmethod
    def backward(ctx, gradient):
        (value,) = ctx.saved_tensors
        with torch.enable_grad():  # CULPRIT
            inner = value.detach().requires_grad_()
            (result,) = torch.autograd.grad(inner * inner, inner, gradient)
        return result


def energy(value):
    result = Solve.apply(value)
    (force,) = torch.autograd.grad(result, value, torch.ones_like(value))
    return result.sum() - force.sum() * 0.5


make_fx(lambda value: energy(value))(torch.randn(3, requires_grad=True))
