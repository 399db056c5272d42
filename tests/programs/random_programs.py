# SPDX-License-Identifier: GPL-2.0-or-later
"""
Writes random programs that change the grad mode while they are traced.

The same seed gives the same text. A program is functions f0, f1, ... of a tensor x and a number n,
which decides about outcomes (empty or not, raised or not), and main(), which traces them.
"""

import random

HEADER = '''\
import contextlib, functools, threading
import torch
from torch.overrides import TorchFunctionMode
from torch.export._trace import _export
from torch.utils.checkpoint import checkpoint
from torch.fx.experimental.proxy_tensor import make_fx


class Stop(Exception):
    pass


kept = []


class Keep:
    """A context manager of the program's own."""

    def __init__(self, make):
        self.make = make

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(self.make())

    def __exit__(self, *exception):
        self.stack.close()


@contextlib.contextmanager
def frozen(make):
    with make():
        yield


def passing(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper


class Mul(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.mul:
            with torch.no_grad():
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def on_thread(function, *arguments):
    errors = []
    def run():
        try:
            function(*arguments)
        except Stop as error:
            errors.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


class Whole(torch.nn.Module):
    """A function as a module, to be exported."""

    def __init__(self, function, n):
        super().__init__()
        self.function, self.n = function, n

    def forward(self, x):
        return self.function(x, self.n)


norm = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 3))
'''


class Writer:
    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.lines = HEADER.split("\n")
        self.functions = []  # names of functions of (x, n)
        self.generators = []  # the same, that yield
        self.applied = []  # names of autograd.Functions
        self.count = 0
        # gradwatch sees such a trace only at calls of the setter, and ends it at one that is made
        # with the trace put aside: so neither in functorch's code nor in a trace in the trace.
        self.pre_dispatch = self.chance(0.2)

    def name(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def choose(self, *choices):
        return self.dice.choice(choices)

    def chance(self, probability):
        return self.dice.random() < probability

    def put(self, indent, *lines):
        self.lines += ["    " * indent + line for line in lines]

    def value(self):
        return self.choose("True", "False", "n % 2 == 0", "n > 0")

    def manager(self):
        """An expression that makes a context manager of torch's."""
        return self.choose(
            *["torch.no_grad()"] * 3,
            *["torch.enable_grad()"] * 2,
            f"torch.set_grad_enabled({self.value()})",
        )

    def factory(self):
        return self.choose("torch.no_grad", "torch.enable_grad")

    # Statements: each writes lines that use x and n.

    def operator(self, indent, depth):
        self.put(
            indent,
            self.choose("x = x * 2", "x = x + 1", "x = x.relu()", "x = torch.mul(x, 3)"),
        )

    def rare_operator(self, indent, depth):
        self.put(indent, f"if n % {self.choose(2, 3)} == {self.choose(0, 1)}:")
        self.operator(indent + 1, depth)

    def with_block(self, indent, depth):
        self.put(indent, f"with {self.manager()}:")
        self.body(indent + 1, depth - 1)

    def own_manager(self, indent, depth):
        kind = self.choose("Keep", "frozen")
        self.put(indent, f"with {kind}({self.factory()}):")
        self.body(indent + 1, depth - 1)

    def empty_block(self, indent, depth):
        self.put(indent, f"with {self.manager()}:")
        self.choose(self.rare_operator, lambda i, d: self.put(i, "pass"))(indent + 1, depth)

    def bare_pair(self, indent, depth):
        """Set and put back; what is between may raise."""
        call = self.choose("torch.set_grad_enabled", "torch._C._set_grad_enabled")
        name = self.name("before")
        self.put(indent, f"{name} = torch.is_grad_enabled()")
        self.put(indent, f"{call}({self.choose('True', 'False')})")
        self.body(indent, depth - 1)
        if self.chance(0.2):
            self.raises(indent)
        self.put(indent, f"{call}({name})")

    def bare(self, indent, depth):
        call = self.choose("torch.set_grad_enabled", "torch._C._set_grad_enabled")
        self.put(indent, f"{call}({self.value()})")

    def raises(self, indent):
        self.put(indent, f"if n == {self.choose(1, 2)}:", "    raise Stop")

    def caught(self, indent, depth):
        self.put(indent, "try:")
        self.with_block(indent + 1, depth - 1)
        self.raises(indent + 1)
        self.put(indent, "except Stop:", "    pass")

    def raising_block(self, indent, depth):
        self.put(indent, f"with {self.manager()}:")
        self.body(indent + 1, depth - 1)
        self.raises(indent + 1)

    def call(self, indent, depth):
        if not self.functions:
            return self.operator(indent, depth)
        self.put(indent, f"x = {self.dice.choice(self.functions)}(x, n)")

    def loop(self, indent, depth):
        self.put(indent, f"for n in range({self.choose(2, 3)}):")
        self.body(indent + 1, depth - 1)

    def apply(self, indent, depth):
        if not self.applied:
            return self.operator(indent, depth)
        function = self.dice.choice(self.applied)
        self.put(indent, f"x = {function}.apply(x, n)")

    def backward(self, indent, depth):
        """Needs grad on and a leaf."""
        inner = self.choose(*self.functions, "passing(lambda y, n: y * y)")
        if self.applied and self.chance(0.6):
            inner = f"{self.dice.choice(self.applied)}.apply"
        if self.functions and self.chance(0.3):
            reentrant = self.choose("True", "False")
            inner = self.dice.choice(self.functions)
            inner = f"functools.partial(checkpoint, {inner}, use_reentrant={reentrant})"
        graph = self.choose("", ", create_graph=True")
        self.put(
            indent,
            "if torch.is_grad_enabled():",
            "    leaf = x.detach().requires_grad_()",
            f"    y = {inner}(leaf, n).sum()",
            "    if y.requires_grad:",
            f"        (x,) = torch.autograd.grad(y, leaf, allow_unused=True{graph})",
            "        x = leaf if x is None else x",
        )

    def checkpointed(self, indent, depth):
        if not self.functions:
            return self.operator(indent, depth)
        reentrant = self.choose("True", "False")
        function = self.dice.choice(self.functions)
        self.put(indent, f"x = checkpoint({function}, x, n, use_reentrant={reentrant})")

    def iterate(self, indent, depth):
        if not self.generators:
            return self.operator(indent, depth)
        generator = self.dice.choice(self.generators)
        self.choose(self.exhaust, self.abandon, self.close)(indent, generator)

    def exhaust(self, indent, generator):
        self.put(indent, f"for x in {generator}(x, n):", "    x = x + 1")

    def abandon(self, indent, generator):
        """It stays where it is, in its blocks, until the trace is over."""
        self.put(indent, f"kept.append({generator}(x, n))", "x = next(kept[-1], x)")

    def close(self, indent, generator):
        name = self.name("g")
        self.put(indent, f"{name} = {generator}(x, n)", f"x = next({name}, x)")
        self.operator(indent, 0)
        self.put(indent, f"{name}.close()")

    def nested(self, indent, depth):
        """A trace in the trace; it leaves the grad mode as it was."""
        if not self.functions or self.pre_dispatch:
            return self.operator(indent, depth)
        function = self.dice.choice(self.functions)
        self.put(
            indent,
            "before = torch.is_grad_enabled()",
            "with contextlib.suppress(Stop):",
            f"    make_fx(lambda y: {function}(y, n))(torch.ones(3))",
            "torch._C._set_grad_enabled(before)",
        )

    def elsewhere(self, indent, depth):
        """On another thread, where nothing is traced or another trace is."""
        if not self.functions:
            return self.operator(indent, depth)
        function = self.dice.choice(self.functions)
        plain = f"on_thread({function}, torch.ones(3), n)"
        traced = f"on_thread(make_fx(lambda y: {function}(y, 0)), torch.ones(3))"
        self.put(indent, self.choose(plain, traced))

    def library(self, indent, depth):
        """Code of PyTorch's that changes the grad mode."""
        gradient = "x = torch.func.grad(lambda y: (y * y).sum())(x)"
        if self.pre_dispatch or self.chance(0.6):
            gradient = "x = norm(x)"
        self.put(indent, gradient)

    def function_mode(self, indent, depth):
        self.put(indent, "with Mul():", "    x = torch.mul(x, 2)")

    STATEMENTS = {
        "operator": 4,
        "rare_operator": 2,
        "with_block": 5,
        "own_manager": 1,
        "empty_block": 2,
        "bare_pair": 2,
        "bare": 0.2,
        "caught": 1,
        "raising_block": 1,
        "call": 4,
        "loop": 0.6,
        "apply": 2,
        "backward": 1.5,
        "checkpointed": 0.7,
        "iterate": 1.5,
        "nested": 0.5,
        "elsewhere": 0.4,
        "library": 0.7,
        "function_mode": 0.3,
    }
    SHALLOW = ("operator", "rare_operator", "call", "apply", "iterate", "library")

    def body(self, indent, depth):
        for _ in range(self.choose(1, 1, 2, 3)):
            names = list(self.STATEMENTS) if depth > 0 else self.SHALLOW
            weights = [self.STATEMENTS[name] for name in names]
            statement = self.dice.choices(names, weights)[0]
            getattr(self, statement)(indent, depth)

    # Definitions

    def decorator(self):
        return self.choose(
            *["@torch.no_grad()"] * 2,
            "@torch.no_grad",
            "@torch.enable_grad()",
            "@torch.set_grad_enabled(False)",
            "@passing",
        )

    def module(self):
        """A module: what it does is in its forward, which may be decorated."""
        name = self.name("M")
        self.put(0, f"class {name}(torch.nn.Module):")
        if self.chance(0.6):
            self.put(1, self.decorator())
        self.put(1, "def forward(self, x, n):")
        self.body(2, 2)
        self.put(2, "return x", "", "")
        made = self.choose(f"{name}()", f"{name}()", f"torch.no_grad()({name}())")
        self.instance(name, made)

    def instance(self, name, made):
        self.put(0, f"{name.lower()} = {made}", "", "")
        self.functions.append(name.lower())

    def made_of_another(self):
        """A function that is made of another one, or of text."""
        name = self.name("L")
        if not self.functions:
            return self.function()
        inner = self.dice.choice(self.functions)
        self.instance(
            name,
            self.choose(
                f"torch.no_grad()(functools.partial({inner}))",
                f"torch.enable_grad()(lambda x, n: {inner}(x, n) + 1)",
                f"lambda x, n: [{inner}(y, n) for y in (x, x)][1]",
                f"torch.no_grad()(passing(lambda x, n: {inner}(x, n)))",
            ),
        )

    def function(self):
        name = self.name("f")
        if self.chance(0.3):
            self.put(0, self.decorator())
            if self.chance(0.2):
                self.put(0, self.decorator())
        self.put(0, f"def {name}(x, n):")
        self.body(1, 2)
        self.put(1, "return x")
        self.put(0, "", "")
        self.functions.append(name)

    def generator(self):
        name = self.name("gen")
        if self.chance(0.3):
            self.put(0, self.choose("@torch.no_grad()", "@torch.enable_grad()"))
        self.put(0, f"def {name}(x, n):")
        for _ in range(self.choose(1, 2)):
            if self.chance(0.8):
                self.put(1, f"with {self.manager()}:")
                self.body(2, 1)
                self.put(2, "yield x")
            else:
                self.body(1, 1)
                self.put(1, "yield x")
        self.put(0, "", "")
        self.generators.append(name)

    def autograd_function(self):
        name = self.name("Fn")
        self.put(0, f"class {name}(torch.autograd.Function):")
        self.put(1, "@staticmethod", "def forward(ctx, x, n):", "    ctx.n = n")
        self.body(2, 1) if self.chance(0.5) else self.operator(2, 0)
        self.put(2, "return x.clone()", "")
        self.put(1, "@staticmethod", "def backward(ctx, x):", "    n = ctx.n")
        self.body(2, 1) if self.chance(0.5) else self.operator(2, 0)
        self.put(2, "return x, None")
        self.put(0, "", "")
        self.applied.append(name)

    def trace(self):
        """Traces a function some times, with outcomes of its own each time."""
        function = self.choose(*self.functions[-3:])
        gradient = self.choose("True", "True", "False")
        ambient = self.choose(*["contextlib.nullcontext()"] * 4, "torch.no_grad()")
        options = self.choose(*["tracing_mode='real'"] * 5, "tracing_mode='fake'")
        if self.pre_dispatch and self.chance(0.7):
            options += ", pre_dispatch=True"
        runs = self.choose("0", "1", "0, 1", "1, 0", "0, 2, 1", "0, 1, 2, 3")
        tracing = f"make_fx({function}, {options})"
        argument = f"torch.ones(3, requires_grad={gradient}), n"
        call = f"{tracing}({argument})"
        if self.chance(0.1):
            call = f"on_thread({tracing}, {argument})"
        elif self.chance(0.04):
            whole = f"Whole({function}, n), (torch.ones(3),)"
            call = f"_export({whole}, pre_dispatch=False, strict=False)"
        self.put(
            1,
            f"for n in ({runs},):",
            "    torch._C._set_grad_enabled(True)",
            f"    with tolerance(), {ambient}:",
            f"        {call}",
            "    torch._C._set_grad_enabled(True)",
            "    kept.clear()",
        )

    def write(self):
        for _ in range(self.choose(3, 4, 5, 6)):
            make = self.dice.choices(
                [
                    *(self.function, self.generator, self.autograd_function),
                    *(self.module, self.made_of_another),
                ],
                [6, 2, 2, 1, 1],
            )[0]
            make()
        self.function()
        self.put(0, "def main(tolerance):")
        for _ in range(self.choose(2, 3, 4)):
            self.trace()
        self.put(0, "")
        return "\n".join(self.lines)


def program(seed):
    """The text of the program of a seed."""
    return Writer(seed).write()
