# SPDX-License-Identifier: GPL-2.0-or-later
"""profiled.py OUT.json: traces in two threads, one of them within torch.profiler."""

import sys
import threading

import torch
from torch.fx.experimental.proxy_tensor import make_fx


def forward(x):
    with torch.no_grad():
        y = x + 1
    return y * 2


def trace():
    make_fx(forward)(torch.ones(2))


trace()  # what is imported late is
with (
    torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile,
    torch.profiler.record_function("around the trace"),
):
    trace()
profile.export_chrome_trace(sys.argv[1])
torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2))  # is in the log of TORCH_TRACE
thread = threading.Thread(target=trace)
thread.start()
thread.join()
