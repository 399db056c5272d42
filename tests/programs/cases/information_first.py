# SPDX-License-Identifier: GPL-2.0-or-later
"""Autograd's own change comes first, a user's block second, both at one line of the user's code."""

import warnings

import torch
from torch.fx.experimental.proxy_tensor import make_fx

warnings.filterwarnings("ignore")


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Library(torch.nn.Module):
    """Like torch.nn.utils.spectral_norm, whose own no_grad() is at its caller's line."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 3))


head = Library().layer


def model(value):
    return head(StraightThrough.apply(value))  # CULPRIT


make_fx(model)(torch.randn(2, 3, requires_grad=True))
