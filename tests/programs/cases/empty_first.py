# SPDX-License-Identifier: GPL-2.0-or-later
"""One block, in which nothing is traced at first, and an operator later."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

frozen = True


def forward(value):
    with torch.no_grad():  # CULPRIT
        if not frozen:
            value = value * 2
    return value + 1


value = torch.ones(2, requires_grad=True)
make_fx(lambda value: forward(value))(value)
frozen = False
make_fx(lambda value: forward(value))(value)
make_fx(lambda value: forward(value))(value)
