# SPDX-License-Identifier: GPL-2.0-or-later
"""One line turns the grad mode off: it is put back at first, and left off by an exception later."""

import contextlib

import torch
from torch.fx.experimental.proxy_tensor import make_fx


def evaluate(value):
    torch.set_grad_enabled(False)  # CULPRIT
    result = value * 2
    if len(result) > 2:
        raise ValueError("bad batch")
    torch.set_grad_enabled(True)
    return result


for size in (2, 2, 3, 2):
    torch.set_grad_enabled(True)
    with contextlib.suppress(ValueError):
        make_fx(evaluate)(torch.ones(size, requires_grad=True))
