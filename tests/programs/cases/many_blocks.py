# SPDX-License-Identifier: GPL-2.0-or-later
"""More changes of one thread than --rate sends: 2 blocks, 3000 times each."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx


def step(value):
    with torch.no_grad():  # EMPTY
        pass
    with torch.no_grad():  # CULPRIT
        value = value * 1.0
    return value


def loop(value):
    for _ in range(3000):
        value = step(value)
    return value


make_fx(loop)(torch.ones(1, requires_grad=True))
