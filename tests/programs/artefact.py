# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints what it makes on standard output, as export scripts do; its status is that of argv[1]."""

import sys

import torch
from torch.fx.experimental.proxy_tensor import make_fx


def function(v):
    with torch.no_grad():
        w = v * 2
    return v + w


print(make_fx(function)(torch.ones(1, requires_grad=True)).code.strip())
sys.exit(int(sys.argv[1]))
