# SPDX-License-Identifier: GPL-2.0-or-later
"""The program that is measured: what PyTorch jobs do, on command.

Reads one command a line: CASE REPEATS COUNT. Answers one JSON line: the nanoseconds per call or
iteration of each of REPEATS batches of COUNT. A case that this PyTorch does not have answers null.

  setter    torch._C._set_grad_enabled outside of a trace, to the value that holds
  redundant the same within a make_fx trace
  changes   the same, but each call changes the grad mode: each is a violation; changes30 and
            changes100 with so many Python frames on the stack, changes100apart of as
            many functions; storm with a great many
  raise     as changes, where somebody makes each call raise: the time to the handler
  train     forward, backward and SGD step of 50 Linear + ReLU
  infer     forward of the same under no_grad
  make_fx   one make_fx run of a function with a few operators
  export    one torch.export.export of a small module
"""

import gc
import json
import sys
import time

import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

now = time.perf_counter_ns


class Setter:
    """Calls of the binding itself: torch.no_grad() would add Python of its own."""

    def __init__(self, traced=False, changing=False, frames=0, apart=False, caught=False):
        self.caught = caught
        self.apart = apart
        self.traced = traced
        self.changing = changing
        self.frames = frames

    def deep(self, repeats, count):
        """With so many frames on the stack, as far as make_fx leaves it open."""
        frame, depth = sys._getframe(), 0
        while frame:
            frame, depth = frame.f_back, depth + 1
        if depth >= self.frames:
            return self.loop(repeats, count)
        return (FUNCTIONS[depth] if self.apart else Setter.deep)(self, repeats, count)

    def loop(self, repeats, count):
        call = torch._C._set_grad_enabled
        values = (False, True) if self.changing else (True, True)
        times = []
        for _ in range(repeats):
            start = now()
            for _ in range(count // 2):
                call(values[0])
                call(values[1])
            times.append((now() - start) / (count // 2 * 2))
        return times

    def catch(self, repeats, count):
        """The time from each call to the handler of what it raises; None if it does not."""
        call = torch._C._set_grad_enabled
        times = []
        for _ in range(repeats):
            took = 0
            for _ in range(count):
                start = now()
                try:
                    call(False)
                    call(True)
                except RuntimeError:
                    took += now() - start
            times.append(took / count)
        return times

    def __call__(self, repeats, count):
        if not self.traced:
            return self.loop(repeats, count)
        times = []

        def function(x):
            # make_fx has a torch-function mode on newer versions, whose Python would be measured.
            with torch._C.DisableTorchFunction():
                body = self.catch if self.caught else self.deep
                times.extend(body(repeats, count))
            return x + 1

        make_fx(function)(torch.ones(2))
        return times


def chain(count, last):
    """So many functions, each with code of its own, that call one another and then `last`."""
    calls = [last]
    for number in reversed(range(count)):
        made = {"then": calls[0]}
        text = f"def through{number}(*arguments):\n    return then(*arguments)\n"
        exec(compile(text, __file__, "exec"), made)
        calls.insert(0, made[f"through{number}"])
    return calls


FUNCTIONS = chain(100, Setter.loop)


class Iterations:
    """
    Runs of a body, made when first asked for. A body that runs on one thread is measured in that
    thread's processor time: other work on the machine then adds less than what is looked for.
    """

    def __init__(self, make, clock=now):
        self.make = make
        self.clock = clock
        self.body = None

    def __call__(self, repeats, count):
        if self.body is None:
            self.body = self.make()
            for _ in range(3):
                self.body()
            gc.collect()
            gc.freeze()
        times = []
        for _ in range(repeats):
            start = self.clock()
            for _ in range(count):
                self.body()
            times.append((self.clock() - start) / count)
        return times


def layers():
    torch.manual_seed(0)
    return nn.Sequential(*[layer for _ in range(50) for layer in (nn.Linear(64, 64), nn.ReLU())])


def make_train():
    model = layers()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    data = torch.randn(32, 64)

    def train():
        optimizer.zero_grad()
        model(data).sum().backward()
        optimizer.step()

    return train


def make_infer():
    model = layers()
    data = torch.randn(32, 64)

    def infer():
        with torch.no_grad():
            model(data)

    return infer


def make_trace():
    data = torch.randn(8, 8)

    def function(x):
        for _ in range(20):
            x = torch.relu(x @ x + 1)
        return x

    return lambda: make_fx(function)(data)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        with torch.no_grad():
            y = self.linear(x)
        return torch.relu(self.linear(x) + y)


def make_export():
    module = Small()
    data = (torch.randn(4, 8),)
    export = torch.export.export  # since 2.1
    return lambda: export(module, data)


CASES = {
    "setter": Setter(),
    "redundant": Setter(traced=True),
    "changes": Setter(traced=True, changing=True),
    "changes30": Setter(traced=True, changing=True, frames=30),
    "changes100": Setter(traced=True, changing=True, frames=100),
    "changes100apart": Setter(traced=True, changing=True, frames=100, apart=True),
    "raise": Setter(traced=True, changing=True, caught=True),
    "storm": Setter(traced=True, changing=True),
    "train": Iterations(make_train),
    "infer": Iterations(make_infer),
    "make_fx": Iterations(make_trace, time.thread_time_ns),
    "export": Iterations(make_export),
}


def answer(value):
    print(json.dumps(value), flush=True)


def main():
    torch.set_num_threads(1)  # one busy thread: the machine may have few processors
    gc.disable()
    gc.freeze()  # what PyTorch is made of takes 0.2 s to go through
    answer(torch.__version__)
    for line in sys.stdin:
        case, repeats, count = line.split()
        gc.collect()
        try:
            answer(CASES[case](int(repeats), int(count)))
        except AttributeError:
            answer(None)


if __name__ == "__main__":
    main()
