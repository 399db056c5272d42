# SPDX-License-Identifier: GPL-2.0-or-later
"""Grad mode that is changed by a tensor subclass or a function mode, and beneath one."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode


class FreezeProducts(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is not torch.mul:
            return func(*args, **(kwargs or {}))
        with torch.no_grad():  # MODE
            return func(*args, **(kwargs or {}))


class Frozen(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        plain = [a.as_subclass(torch.Tensor) if isinstance(a, cls) else a for a in args]
        with torch._C.DisableTorchFunctionSubclass():
            if func is not torch.mul:
                return func(*plain, **(kwargs or {}))
            with torch.no_grad():  # SUBCLASS
                return func(*plain)


class Through(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def product(a, b):
    return torch.mul(a, b)


def in_mode(x):
    with FreezeProducts():
        return product(x, 2) + x


def in_subclass(x):
    return product(torch.ones(3).as_subclass(Frozen), x) + x


def beneath(x):
    with Through(), torch.no_grad():  # BENEATH
        y = x * 2
    return y + x


for function in (in_mode, in_subclass, beneath):
    make_fx(function)(torch.ones(3, requires_grad=True))
