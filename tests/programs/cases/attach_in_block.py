# SPDX-License-Identifier: GPL-2.0-or-later
"""Waits in the middle of a traced block until a line comes; then the block ends."""

import sys

import torch
from torch.fx.experimental.proxy_tensor import make_fx


def forward(value):
    value = value + 1
    with torch.no_grad():  # CULPRIT
        first = value * 2
        print("waits", flush=True)
        sys.stdin.readline()
        first = first * 3
    return value + first


make_fx(forward)(torch.ones(1, requires_grad=True))
