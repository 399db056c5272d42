# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark's target: PyTorch work on command, timed inside the process.

Reads "CASE COUNT" lines, answers each with a JSON list of nanoseconds: per call in chunks of the
setter cases, per iteration of the others; null where this PyTorch lacks the means.
"""

import json
import sys
import time

import torch
from torch.fx.experimental.proxy_tensor import make_fx

CHUNK = 500  # setter calls per measurement: short enough to fit between two preemptions
set_grad_enabled = torch._C._set_grad_enabled
clock = time.perf_counter_ns


def network(layers, width=64):
    parts = []
    for _ in range(layers):
        parts += [torch.nn.Linear(width, width), torch.nn.ReLU()]
    return torch.nn.Sequential(*parts)


large, small = network(50), network(8)
batch = torch.randn(32, 64)
optimizer = torch.optim.SGD(large.parameters(), lr=1e-3)


def per_call(count, values):
    """Times count setter calls, taking the values in turn."""
    times = []
    turns = [values[i % len(values)] for i in range(CHUNK)]
    for _ in range(max(1, count // CHUNK)):
        start = clock()
        for value in turns:
            set_grad_enabled(value)
        times.append((clock() - start) / CHUNK)
    return times


def in_trace(count, values):
    times = []

    def traced(x):
        # Without torch-function modes: make_fx has one, its 3 us of Python would cover the rest.
        with torch._C.DisableTorchFunction():
            times.extend(per_call(count, values))
        return x + 1

    make_fx(traced)(torch.ones(2))
    return times


def each(count, work):
    times = []
    for _ in range(count):
        start = clock()
        work()
        times.append(clock() - start)
    return times


def train_step():
    optimizer.zero_grad()
    large(batch).sum().backward()
    optimizer.step()


def inference_step():
    with torch.no_grad():
        large(batch)


def traced_with_block(x):
    x = small(x)
    with torch.no_grad():
        y = x * 2
    return x + y


def violate():
    """A trace with two changes of the grad mode."""

    def traced(x):
        set_grad_enabled(False)
        set_grad_enabled(True)
        return x + 1

    make_fx(traced)(torch.ones(2))


def export_small():
    torch.export.export(small, (batch,))


CASES = {
    "setter": lambda count: per_call(count, [True]),
    "redundant": lambda count: in_trace(count, [True]),
    "changes": lambda count: in_trace(count, [False, True]),
    "train": lambda count: each(count, train_step),
    "inference": lambda count: each(count, inference_step),
    "make_fx": lambda count: each(count, lambda: make_fx(traced_with_block)(batch)),
    "export": lambda count: each(count, export_small) if hasattr(torch, "export") else None,
    "violate": lambda count: each(count, violate),
}


def main():
    torch.set_num_threads(1)
    print(json.dumps({"torch": torch.__version__, "python": sys.version.split()[0]}), flush=True)
    for line in sys.stdin:
        case, count = line.split()
        print(json.dumps(CASES[case](int(count))), flush=True)


main()
