# SPDX-License-Identifier: GPL-2.0-or-later
"""Leaves a line of its output unfinished while it traces, as programs that show progress do."""

import sys
import time

import torch
from torch.fx.experimental.proxy_tensor import make_fx

stream = getattr(sys, sys.argv[1])
seconds = float(sys.argv[2])


def function(v):
    print("tracing layer 1 ...", end="", flush=True, file=stream)
    with torch.no_grad():
        w = v * 2
    time.sleep(seconds)
    print(" done", flush=True, file=stream)
    return v + w


make_fx(function)(torch.ones(1, requires_grad=True))
print("the last line has no end", end="", flush=True, file=stream)
