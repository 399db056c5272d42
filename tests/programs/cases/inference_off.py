# SPDX-License-Identifier: GPL-2.0-or-later
"""inference_mode(False) within no_grad() turns grad on again, without a call of the setter."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx


def forward(value):
    with torch.no_grad():  # CULPRIT
        with torch.inference_mode(False):
            first = value * 3  # DRIFT
        second = value * 4
    return first + second


make_fx(forward)(torch.ones(2, requires_grad=True))
