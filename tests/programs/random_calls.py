# SPDX-License-Identifier: GPL-2.0-or-later
"""Random programs that change the grad mode in every way, judged by the oracle.

Prints one line of JSON at the end: the oracle's counts, and per kind of scene how often it went
through ("ok") or raised ("failed": this PyTorch cannot do it, or forbids it; its calls count too).
With --until-eof it goes on until standard input ends, so that a monitor can come and go, and prints
"calls N" as it proceeds. With --wait it says "ready" first and waits for a line.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import sys
import threading
import time
import warnings

warnings.filterwarnings("ignore")

import oracle  # noqa: E402  before anything can look at the builtin
import torch  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

REENTRANCY = 64  # the autograd engine moves deeper reentrant backwards (60) to threads of its own


class Unwind(Exception):
    """Raised by programs to leave blocks and traces."""


def direct(value):
    torch._C._set_grad_enabled(value)


@contextlib.contextmanager
def grad_mode_kept():
    """For code that leaves another grad mode behind than it found."""
    before = torch.is_grad_enabled()
    try:
        yield
    finally:
        direct(before)


class Program:
    """Random statements. The same object serves one thread."""

    def __init__(self, dice):
        self.dice = dice
        self.generators = []

    def flip(self):
        return self.dice.random() < 0.5

    def block(self):
        """One of the context managers."""
        which = self.dice.randrange(4)
        if which < 2:
            return [torch.no_grad, torch.enable_grad][which]()
        value = self.flip()
        # Since 2.0 the constructor itself changes the mode; both come from the same object.
        return torch.set_grad_enabled(value)

    def generator(self):
        """A generator that is suspended inside blocks; closed or dropped at any time."""
        with self.block():
            yield 1
            with torch.no_grad():
                yield 2
                direct(self.flip())
                yield 3
        yield 4

    def step_generator(self):
        if not self.generators or self.dice.random() < 0.3:
            self.generators.append(self.generator())
        chosen = self.dice.randrange(len(self.generators))
        what = self.dice.random()
        if what < 0.8:
            if next(self.generators[chosen], None) is None:
                del self.generators[chosen]
        elif what < 0.9:
            self.generators.pop(chosen).close()
        else:
            with contextlib.suppress(Unwind, StopIteration):
                self.generators.pop(chosen).throw(Unwind())

    def burst(self):
        """Many direct calls: cheap, half of them redundant."""
        for _ in range(self.dice.randrange(10, 60)):
            direct(self.flip())

    def decorated(self, x, depth):
        @torch.no_grad()
        def inner(y):
            return self.statements(y, depth - 1)

        @torch.enable_grad()
        def outer(y):
            return inner(y) + 1

        return outer(x) if self.flip() else inner(x)

    def inference(self):
        # No tensor leaves the block: inference tensors are refused by autograd.
        with torch.inference_mode(self.flip()):
            for _ in range(self.dice.randrange(1, 6)):
                direct(self.flip())
            with torch.no_grad():
                pass

    def unwinding(self, x, depth):
        with contextlib.suppress(Unwind), self.block(), torch.no_grad():
            self.statements(x, depth - 1)
            raise Unwind

    def statement(self, x, depth):
        if self.dice.random() < 0.02:  # generators that are closed by nobody in particular
            self.generators.clear()
            oracle.collect()
        kind = self.dice.randrange(11)
        if kind < 2:
            return [x * 2, x + 1, x.relu()][self.dice.randrange(3)]
        if kind == 2:
            self.burst()
        elif kind == 3:
            direct(self.flip())
        elif kind == 4:
            torch.set_grad_enabled(self.flip())
        elif kind == 5:
            self.step_generator()
        elif kind == 6:
            self.inference()
        elif depth > 0:
            if kind == 7:
                return self.decorated(x, depth)
            if kind == 8:
                self.unwinding(x, depth)
            else:
                with self.block():
                    return self.statements(x, depth - 1)
        return x

    def statements(self, x, depth):
        for _ in range(self.dice.randrange(2, 7)):
            x = self.statement(x, depth)
        return x


class Light:
    """Scenes that can run on several threads at once."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.program = Program(self.dice)

    def input(self):
        return torch.ones(3, requires_grad=self.dice.random() < 0.5)

    def eager(self):
        with grad_mode_kept():
            self.program.statements(self.input(), 3)

    def body(self, depth=3):
        def body(x):
            y = self.program.statements(x, depth)
            self.program.burst()
            return y + 1

        return body

    def ambient(self):
        """The grad mode that a trace starts in."""
        return torch.no_grad() if self.dice.random() < 0.3 else contextlib.nullcontext()

    def trace(self, body, x, mode="real"):
        """make_fx, which some versions of FX fail to leave in order when others trace, too."""
        left = False

        def watched(y):
            nonlocal left
            try:
                return body(y)
            finally:
                left = True

        try:
            make_fx(watched, tracing_mode=mode)(x)
        except AssertionError:  # of the process-wide CURRENT_PATCHER in torch/fx/_symbolic_trace.py
            if not left:
                raise

    def traced(self, mode="real"):
        with grad_mode_kept(), self.ambient():
            self.trace(self.body(), self.input(), mode)

    def traced_fake(self):
        self.traced("fake")

    def traced_symbolic(self):
        self.traced("symbolic")

    def nested(self):
        def outer(x):
            y = self.program.statements(x, 1)
            self.trace(self.body(1), torch.ones(2))
            if self.dice.random() < 0.5:  # the inner trace ends by an exception
                with contextlib.suppress(Unwind):
                    self.trace(self.raising, torch.ones(2))
            return self.program.statements(y, 1) + 1

        with grad_mode_kept():
            self.trace(outer, self.input())

    def raising(self, x):
        with self.program.block():
            self.program.statements(x, 2)
            raise Unwind

    def unwound(self):
        with grad_mode_kept(), contextlib.suppress(Unwind):
            self.trace(self.raising, self.input())
        with grad_mode_kept():  # what follows is no trace any more
            self.program.statements(self.input(), 1)

    def backward(self):
        x = torch.ones(3, requires_grad=True)
        (x * 2).relu().sum().backward()
        with torch.no_grad():
            x -= 0.1 * x.grad

    def optimizer(self):
        parameter = torch.nn.Parameter(torch.ones(3))
        chosen = torch.optim.SGD if self.dice.random() < 0.5 else torch.optim.Adam
        optimizer = chosen([parameter], lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            (parameter * 2).sum().backward()
            optimizer.step()

    SCENES = {
        "eager": 4,
        "traced": 10,
        "traced_fake": 2,
        "traced_symbolic": 2,
        "nested": 2,
        "unwound": 2,
        "backward": 1,
        "optimizer": 1,
    }

    def next_scene(self):
        name = self.dice.choices(list(self.SCENES), list(self.SCENES.values()))[0]
        return name, getattr(self, name)


class Toggling(torch.nn.Module):
    """Changes the grad mode in a way that Dynamo follows, too."""

    def __init__(self, pattern):
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)
        self.pattern = pattern

    def forward(self, x):
        x = self.linear(x)
        if self.pattern == 0:
            with torch.no_grad():
                x = x + self.linear(x)
        elif self.pattern == 1:
            with torch.no_grad():
                y = x * 2
                with torch.enable_grad():
                    x = x + y
        elif self.pattern == 2:
            torch._C._set_grad_enabled(False)
            y = x * 2
            torch._C._set_grad_enabled(True)
            x = x + y
        elif self.pattern == 3:
            with torch.set_grad_enabled(True):  # redundant
                x = x * 2
        return x.relu()


PATTERNS = 5  # the last one changes nothing


class Heavy:
    """Scenes for the main thread alone: their machinery has process-wide state."""

    def __init__(self, seed):
        self.dice = random.Random(seed)

    def module(self):
        return Toggling(self.dice.randrange(PATTERNS))

    @property
    def args(self):
        return (torch.ones(2, 3),)

    def traced_module(self):
        module = self.module()
        make_fx(lambda x: module(x))(*self.args)

    def traced_pre_dispatch(self):
        module = self.module()
        make_fx(lambda x: module(x), pre_dispatch=True)(*self.args)

    def export(self):
        import torch.export

        return torch.export.export(self.module(), self.args)

    def export_not_strict(self):
        import torch.export

        return torch.export.export(self.module(), self.args, strict=False)

    def export_no_pre_dispatch(self):
        try:
            from torch.export._trace import _export
        except ImportError:  # 2.1
            from torch._export import export

            return export(self.module(), self.args)
        return _export(
            self.module(), self.args, pre_dispatch=False, strict=self.dice.random() < 0.5
        )

    def run_decompositions(self):
        self.export().run_decompositions()

    def compile(self):
        import torch._dynamo

        torch._dynamo.reset()
        compiled = torch.compile(self.module(), backend="aot_eager")
        result = compiled(*self.args).sum()
        if result.requires_grad:  # not with every pattern in every version
            result.backward()
        with torch.no_grad():
            compiled(*self.args)

    def functional_gradient(self):
        def loss(x):
            with torch.no_grad():
                y = x * 2
            return (x * y).sum()

        # With the grad mode off outside, functorch changes it in C++ around every operator.
        with torch.set_grad_enabled(self.dice.random() < 0.5):
            make_fx(torch.func.grad(loss))(torch.ones(3))

    def function_in_trace(self):
        """Autograd turns the grad mode off in C++ around the forward of a custom function."""

        class Double(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                torch._C._set_grad_enabled(False)
                return x * 2

            @staticmethod
            def backward(ctx, gradient):
                return gradient * 2

        make_fx(Double.apply)(torch.ones(3, requires_grad=True))

    def autograd_in_trace(self):
        def body(x):
            x = x.detach().requires_grad_()
            with torch.enable_grad():
                y = (x * x).sum()
            with torch.no_grad():
                (gradient,) = torch.autograd.grad(y, x)
            return gradient

        make_fx(body)(torch.ones(3))

    def engine_thread(self):
        """Traces on a thread that the autograd engine made."""
        light = Light(self.dice.randrange(2**32))
        threads = set()

        class Deeper(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, depth):
                ctx.depth = depth
                return x.clone()

            @staticmethod
            def backward(ctx, gradient):
                threads.add(threading.get_native_id())
                if ctx.depth == 0:
                    light.traced()
                    light.eager()
                else:
                    with torch.enable_grad():
                        x = torch.ones(1, requires_grad=True)
                        Deeper.apply(x, ctx.depth - 1).sum().backward()
                return gradient, None

        x = torch.ones(1, requires_grad=True)
        Deeper.apply(x, REENTRANCY).sum().backward()
        if len(threads) < 2:
            raise RuntimeError("the engine made no thread")

    SCENES = (
        "traced_module",
        "traced_pre_dispatch",
        "export",
        "export_not_strict",
        "export_no_pre_dispatch",
        "run_decompositions",
        "compile",
        "functional_gradient",
        "autograd_in_trace",
        "function_in_trace",
        "engine_thread",
    )


class Scenes:
    """Runs scenes and keeps the score."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ok = collections.Counter()
        self.failed = collections.Counter()
        self.reasons = {}
        self.played = []  # list.append is atomic

    def run(self, name, scene):
        start_ns = time.monotonic_ns()
        try:
            self.play(name, scene)
        finally:
            self.played.append((threading.get_native_id(), name, start_ns, time.monotonic_ns()))

    def play(self, name, scene):
        try:
            with grad_mode_kept():
                scene()
        except Exception as error:
            with self.lock:
                self.failed[name] += 1
                self.reasons[name] = f"{type(error).__name__}: {error}"[:300]
        else:
            with self.lock:
                self.ok[name] += 1
        oracle.collect()

    def save(self, path):
        """Which scene was on when, on which thread."""
        names = ("tid", "scene", "start_ns", "end_ns")
        with open(path, "w", encoding="utf-8") as file:
            for played in self.played:
                file.write(json.dumps(dict(zip(names, played, strict=True))) + "\n")


@contextlib.contextmanager
def patches_kept():
    """FX has process-wide state while it traces, and threads undo that in any order."""
    from torch.fx import _symbolic_trace

    places = [
        (torch.nn.Module, "__call__"),
        (torch.nn.Module, "__getattr__"),
        (_symbolic_trace, "_is_fx_tracing_flag"),  # not in 2.14
        (_symbolic_trace, "CURRENT_PATCHER"),  # not in 2.1
    ]
    before = [(*place, getattr(*place)) for place in places if hasattr(*place)]
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def run_threads(scenes, dice, quota):
    """Two to four threads at once, each until it has made its part of the calls."""
    count = dice.randrange(2, 5)
    seeds = [dice.randrange(2**32) for _ in range(count)]

    def body(seed):
        light = Light(seed)
        while oracle.noted_here() < quota / count:
            scenes.run(*light.next_scene())

    workers = [threading.Thread(target=body, args=(seed,)) for seed in seeds]
    with patches_kept():
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def say_progress():
    """In one write: a monitor may share our standard output."""
    os.write(1, f"calls {len(oracle.calls)}\n".encode())


def wait_for_eof(ended):
    sys.stdin.read()
    ended.set()


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True, help="the oracle's calls, JSON Lines")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=2, help="of the slow scenes, at most")
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--until-eof", action="store_true")
    return parser.parse_args()


def run(options, goes_on):
    dice = random.Random(options.seed)
    scenes = Scenes()
    heavy = Heavy(dice.randrange(2**32))
    rounds = 0
    while goes_on():
        if rounds < options.rounds or options.until_eof:
            for name in heavy.SCENES:
                scenes.run(name, getattr(heavy, name))
                say_progress()
        rounds += 1
        run_threads(scenes, dice, max(500, options.calls / 8))
        say_progress()
    return scenes


def main():
    options = parse()
    torch.set_num_threads(1)
    oracle.install()
    ended = threading.Event()
    os.write(1, f"ready {os.getpid()}\n".encode())
    if options.wait:
        sys.stdin.readline()
    if options.until_eof:
        threading.Thread(target=wait_for_eof, args=(ended,), daemon=True).start()
    else:
        ended.set()
    scenes = run(options, lambda: len(oracle.calls) < options.calls or not ended.is_set())
    counts = oracle.save(options.log)
    scenes.save(options.log + ".scenes")
    counts.update(ok=scenes.ok, failed=scenes.failed, reasons=scenes.reasons)
    counts.update(torch=torch.__version__, keyed=oracle.keyed())
    os.write(1, (json.dumps(counts) + "\n").encode())


if __name__ == "__main__":
    main()
