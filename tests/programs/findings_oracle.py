# SPDX-License-Identifier: GPL-2.0-or-later
"""
An in-process reference for findings: what gradwatch should report, worked out without it.

setter_hook.c calls changed() after each real change of the grad mode, with Python's own stack still
in place. ProxyTorchDispatchMode is wrapped so that the begin and end of a trace and its operators
are known. From these events Scopes makes findings, by this definition:

* A change opens a scope; the scope is over when a later change in the same trace puts it back.
  Which change does that is known by identity where there is one: `__exit__` of the same
  context manager object, the destructor of the same C++ guard (same stack pointer, and the mode is
  what it was before). A bare call has none: it puts back the innermost open scope, if that was
  opened by a bare call and is its inverse. torch.set_grad_enabled() is a bare call unless its
  object is entered next; `__exit__` of an object whose __enter__ changed nothing is one.
* The end of a backward pass puts back without the setter what was changed in it. Where a change,
  an operator or the end of the trace finds the mode as it was before such a scope or before a
  bare call, and not in a backward pass that began since, the scope is over.
* A context manager may be left without a change, as a call in its block had made it; and whether
  set_grad_enabled() is a call or is entered shows in a call that changes nothing, too. These calls
  are not reported by gradwatch, so programs in which scopes hang on them are named as doubtful.
* When a scope or the trace is over, what is still open inside it is over, too: neighbours that are
  inverse are a scope that was put back, also if a drift does it; the rest was put back if the mode
  is what it was before.
* An operator that is traced in another grad mode than the innermost open scope (or the begin of
  the trace) explains is in a drift: the mode was set by something else than the setter.
* A trace that ends in another grad mode than it began in is unbalanced.
* Severity: `info` if the change is autograd's own or in a trace of a kind that is exempt; `low` if
  no operator was traced in the scope; else `violation`.
* Whose: the address that the setter returns to is the Python binding's (`user`: Python code, also
  that of PyTorch's library), that of Function.apply (`autograd`), or other C++ code (`cpp`). The
  first two are learnt by a call of each at the start. C++ code is autograd's, too, where
  Function.apply has called it (its Python code; or its C++ code: at the same instruction of the
  same Python frame, further down the native stack), or a backward pass runs it; and so is a drift
  that is seen in a backward pass which began since.
"""

import collections
import contextlib
import os
import sys
import threading
import types

import torch
from torch.fx.experimental import proxy_tensor
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode

PROXY = torch._C._TorchDispatchModeKey.PROXY
PRE_DISPATCH = torch._C.DispatchKey.PreDispatch
TORCH = os.path.dirname(torch.__file__) + os.sep
GRAD_MODE = os.path.join(TORCH, "autograd", "grad_mode.py")
BACKWARD = os.path.join(TORCH, "autograd", "__init__.py")
FUNCTION = os.path.join(TORCH, "autograd", "function.py")
CONTEXTLIB = contextlib.__file__
EXPORT = os.path.join(TORCH, "export") + os.sep

Finding = collections.namedtuple(
    "Finding",
    "kind category severity whose before after restored empty file line function caller",
)
Place = collections.namedtuple("Place", "file line function")
NOWHERE = Place(None, None, None)


def is_backward(frame):
    return frame.f_code.co_filename == BACKWARD or frame.f_code.co_name == "_engine_run_backward"


class Frames:
    """What a stack says, innermost frame first."""

    def __init__(self, frame, is_users):
        self.frames = []
        while frame:
            self.frames.append(frame)
            frame = frame.f_back
        self.is_users = is_users

    def user(self):
        """The innermost frame of the program's own code."""
        for frame in self.frames:
            if self.is_users(frame.f_code.co_filename):
                code = frame.f_code
                return Place(code.co_filename, frame.f_lineno, code.co_qualname)
        return NOWHERE

    def caller(self):
        """The line that uses the program's own context manager; None: it is none."""
        frames = self.frames
        at = next((i for i, f in enumerate(frames) if self.is_users(f.f_code.co_filename)), None)
        if at is None or at + 1 == len(frames):
            return None
        own = frames[at].f_code.co_name in ("__enter__", "__exit__")
        if own or frames[at + 1].f_code.co_filename == CONTEXTLIB:
            return Frames(frames[at + 1], self.is_users).user().line
        return None

    def manager(self):
        """The object of grad_mode.py that was called, and how: (object, name of the method)."""
        found = None
        for frame in self.frames:
            if frame.f_code.co_filename == GRAD_MODE:
                if found and frame.f_code.co_name == "clone":
                    return found.f_locals["self"], "__enter__"  # of a decorator, which enters it
                found = frame
            elif found or frame.f_code.co_name != "__torch_function__":
                break
        if found is None or "self" not in found.f_locals:
            return None, None
        return found.f_locals["self"], found.f_code.co_name

    def is_apply(self):
        """Whether Function.apply's own Python code has called C++ code (PyTorch 2.0 - 2.13)."""
        return self.frames[0].f_code.co_filename == FUNCTION

    def in_backward_of_torch(self):
        """Whether torch.autograd.grad or backward was called, and no code of the user's by that."""
        for frame in self.frames:
            if self.is_users(frame.f_code.co_filename):
                return False
            if is_backward(frame):
                return True
        return False

    def backwards(self):
        """How many backward passes are under way, one in the other."""
        return sum(frame.f_code.co_name == "_engine_run_backward" for frame in self.frames)

    def is_export(self):
        return any(frame.f_code.co_filename.startswith(EXPORT) for frame in self.frames)


class Change:
    """One change: of what to what, by whom."""

    def __init__(self, before, after, frames, whose, key=None, method=None):
        self.before, self.after = before, after
        self.key = key  # identity of what puts it back; None: a bare call
        self.method = method
        self.whose, self.place, self.backwards = whose, frames.user(), frames.backwards()
        self.caller = frames.caller()

    def is_bare(self):
        """Whether nobody has to leave what it opens."""
        return self.method not in ("__enter__", "entered", "guard")

    def leaves(self, opening):
        if self.key is None or self.key != opening.key:
            return False
        if self.method == "guard":
            return self.after == opening.before
        return self.method in ("__exit__", "__call__")

    def may_undo(self):
        """Whether it may put back what a bare call has changed."""
        return self.method not in ("__enter__", "guard")

    def undoes(self, other):
        return self.before == other.after and self.after == other.before


class Scope:
    def __init__(self, opening, operators, drift=False):
        self.opening, self.begin, self.drift = opening, operators, drift


class Scopes:
    """The findings of one trace, from its events in order."""

    def __init__(self, grad, tell, doubt):
        self.began = grad
        self.tell = tell  # (category, change, restored, number of operators)
        self.doubt = doubt  # (change that only calls which change nothing explain)
        self.open = []
        self.operators = 0
        self.pending = None  # a change by set_grad_enabled(): called, or entered by `with` next?

    def expected(self):
        return self.open[-1].opening.after if self.open else self.began

    def finish(self, index, restored, operators=None):
        """The scope at an index is over."""
        scope = self.open.pop(index)
        count = (self.operators if operators is None else operators) - scope.begin
        self.tell("drift" if scope.drift else "scope", scope.opening, restored, count)

    def unwind(self, index, grad):
        """All from an index on are over, with the grad mode that there is then."""
        at = index
        while at + 1 < len(self.open):
            first, second = self.open[at], self.open[at + 1]
            if not first.drift and second.opening.undoes(first.opening):
                self.open.pop(at + 1)
                if not first.opening.is_bare():
                    self.doubt(first.opening)  # a block that was not left, or without a change
                self.finish(at, True, second.begin)
            else:
                at += 1
        while len(self.open) > index:
            self.finish(len(self.open) - 1, self.open[-1].opening.before == grad)

    def end_unseen(self, grad, backwards):
        """
        What is over without a change, as the state shows. A backward pass that is under way has
        a grad mode of its own; one that has ended has taken back what was set in it; and to
        what a bare call has set nobody is to return.
        """
        while self.open and grad != self.expected():
            top = self.open[-1]
            ended = top.drift or top.opening.is_bare() or top.opening.backwards > backwards
            if top.opening.before != grad or not ended or backwards > top.opening.backwards:
                break
            self.finish(len(self.open) - 1, True)

    def settle(self):
        """The object was not entered: it was a call."""
        if self.pending:
            self.pending = None
            self.finish(len(self.open) - 1, True)

    def entered(self, manager):
        """A manager was entered that had changed the mode before: the scope is to be left."""
        if self.pending and self.pending.key is manager:
            self.open.append(Scope(self.pending, self.operators))
            self.pending = None
        for scope in self.open:
            if scope.opening.method == "__init__" and scope.opening.key is manager:
                scope.opening.method = "entered"

    def left(self, manager, grad):
        """A manager was left, and that changed nothing: a call in its block had done it."""
        self.settle()
        for index, scope in enumerate(self.open):
            if scope.opening.key is manager:
                self.doubt(scope.opening)
                self.unwind(index, grad)
                return

    def change(self, change):
        self.settle()
        self.end_unseen(change.before, change.backwards)
        for index in reversed(range(len(self.open))):
            opening = self.open[index].opening
            if change.leaves(opening):
                self.unwind(index + 1, change.before)
                self.finish(index, True)
                return
        top = self.open[-1].opening if self.open else None
        if top and top.method == "entered" and change.undoes(top) and change.method != "__enter__":
            self.doubt(top)
        if change.may_undo() and self.is_undone_by(change):
            self.pending = change
            if change.method != "__init__":
                self.settle()
            return
        self.open.append(Scope(change, self.operators))

    def is_undone_by(self, change):
        top = self.open[-1] if self.open else None
        return top and not top.drift and top.opening.is_bare() and change.undoes(top.opening)

    def operator(self, grad, look):
        self.settle()
        if grad != self.expected():
            frames = look()
            self.end_unseen(grad, frames.backwards())
            self.drift(grad, frames)
        self.operators += 1

    def drift(self, grad, frames):
        if grad == self.expected():
            return
        outside = self.open[-1].opening.backwards if self.open else 0
        whose = "autograd" if frames.backwards() > outside else "user"
        change = Change(self.expected(), grad, frames, whose)
        self.open.append(Scope(change, self.operators, drift=True))

    def end(self, grad, frames):
        self.settle()
        self.end_unseen(grad, frames.backwards())
        self.unwind(0, grad)
        if grad != self.began:
            change = Change(self.began, grad, frames, "user")
            self.tell("unbalanced", change, False, self.operators)


class Trace:
    """One trace: from the entering of its mode to the leaving."""

    def __init__(self, oracle, kind):
        self.oracle, self.kind = oracle, kind
        self.scopes = Scopes(torch.is_grad_enabled(), self.tell, self.doubt)
        self.depth = 1  # a mode may enter itself again

    def tell(self, category, change, restored, operators):
        counted = self.kind != "pre_dispatch"
        empty = category == "scope" and counted and not operators  # of others: see the test
        severity = "low" if empty else "violation"
        if change.whose == "autograd" or not counted:
            severity = "info"
        if category == "unbalanced" and not counted:
            return  # the end of such a trace is not seen
        finding = Finding(
            *(self.kind, category, severity, change.whose, change.before, change.after),
            *(restored, empty, *change.place, change.caller if category == "scope" else None),
        )
        self.oracle.findings[finding] += 1

    def doubt(self, change):
        self.oracle.doubtful.add(change.place.file)


class Oracle:
    def __init__(self, is_users):
        self.is_users = is_users
        self.doubtful = set()  # files of programs
        self.findings = collections.Counter()
        self.errors = []
        self.thread = threading.local()
        self.learning = None  # a set of return addresses
        self.of_binding, self.of_apply = set(), set()

    def pre_dispatch_traces(self):
        if not hasattr(self.thread, "traces"):
            self.thread.traces = []
        return self.thread.traces

    def trace(self):
        """The trace that a change now is in, None: none."""
        mode = torch._C._get_dispatch_mode(PROXY)
        if isinstance(mode, ProxyTorchDispatchMode) and not mode.pre_dispatch:
            return mode.oracle_trace
        if torch._C._dispatch_tls_is_dispatch_key_included(PRE_DISPATCH):
            traces = self.pre_dispatch_traces()
            return traces[-1] if traces else None
        return None

    def changed(self, before, after, return_address, stack_pointer):
        """What the hook calls."""
        try:
            if self.learning is not None:
                self.learning.add(return_address)
                return
            trace = self.trace()
            if not trace:
                self.doubt_pre_dispatch()
            elif before == after:
                manager, method = Frames(sys._getframe(1), self.is_users).manager()
                if method == "__enter__":
                    trace.scopes.entered(manager)
                elif method == "__exit__":
                    trace.scopes.left(manager, bool(after))
            else:
                change = self.make_change(before, after, return_address, stack_pointer)
                trace.scopes.change(change)
        except BaseException as error:  # the caller is C++ code
            self.errors.append(repr(error))

    def doubt_pre_dispatch(self):
        """Such a trace is over for gradwatch at a call that is made with the trace put aside."""
        for trace in self.pre_dispatch_traces():
            for scope in trace.scopes.open:
                trace.doubt(scope.opening)

    def make_change(self, before, after, return_address, stack_pointer):
        frames = Frames(sys._getframe(2), self.is_users)
        if return_address in self.of_binding:
            manager, method = frames.manager()
            whose = "user"
            key = manager  # compared by ==, which is identity for these; keeps it alive
        else:
            key, method = (threading.get_ident(), stack_pointer), "guard"
            whose = self.whose_guard(return_address, stack_pointer, frames)
        return Change(bool(before), bool(after), frames, whose, key, method)

    def whose_guard(self, return_address, stack_pointer, frames):
        at = (id(frames.frames[0]), frames.frames[0].f_lasti)
        place, outside = getattr(self.thread, "apply", (None, 0))
        in_apply = place == at and stack_pointer < outside
        if return_address in self.of_apply and not in_apply:
            self.thread.apply = (at, stack_pointer)
            in_apply = True
        if in_apply or frames.is_apply() or frames.in_backward_of_torch():
            return "autograd"
        return "cpp"

    def look(self):
        """The stack of an operator."""
        return Frames(sys._getframe(3), self.is_users)

    # What the wrappers of the mode's methods call.

    def entered(self, mode):
        trace = getattr(mode, "oracle_trace", None)
        if trace and trace.depth:
            trace.depth += 1
            return
        frames = Frames(sys._getframe(1), self.is_users)
        kind = "export" if frames.is_export() else "make_fx"
        kind = "pre_dispatch" if mode.pre_dispatch else kind
        mode.oracle_trace = Trace(self, kind)
        if mode.pre_dispatch:
            self.pre_dispatch_traces().append(mode.oracle_trace)

    def dispatched(self, mode):
        if not mode.pre_dispatch:
            mode.oracle_trace.scopes.operator(torch.is_grad_enabled(), self.look)

    def left(self, mode):
        mode.oracle_trace.depth -= 1
        if mode.oracle_trace.depth:
            return
        frames = Frames(sys._getframe(1), self.is_users)
        mode.oracle_trace.scopes.end(torch.is_grad_enabled(), frames)
        if mode.pre_dispatch:
            self.pre_dispatch_traces().remove(mode.oracle_trace)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, same):
        return x if same else x.clone()  # of the same object a view is made, in a guard of its own

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def _learn(oracle):
    """The addresses that the setter returns to in the two callers that can be told apart."""
    oracle.learning = oracle.of_binding
    for value in (False, True, False, True):
        torch._C._set_grad_enabled(value)
    oracle.learning = oracle.of_apply
    for same in (False, True):
        _Apply.apply(torch.ones(1, requires_grad=True), same).sum().backward()
    oracle.learning = None
    assert oracle.of_binding and oracle.of_apply and not oracle.of_binding & oracle.of_apply


# Compiled under the name of PyTorch's own file: no frame of these is anybody else's code.
WRAPPERS = """
def wrap(entered, dispatched, left, enter, dispatch, exit):
    def __enter__(self):
        entered(self)
        return enter(self)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        dispatched(self)
        return dispatch(self, func, types, args, kwargs)

    def __exit__(self, *exception):
        left(self)
        return exit(self, *exception)

    return __enter__, __torch_dispatch__, __exit__
"""


def _wrap(oracle):
    made = types.ModuleType("made")
    exec(compile(WRAPPERS, proxy_tensor.__file__, "exec"), made.__dict__)
    mode = ProxyTorchDispatchMode
    mode.__enter__, mode.__torch_dispatch__, mode.__exit__ = made.wrap(
        *(oracle.entered, oracle.dispatched, oracle.left),
        *(mode.__enter__, mode.__torch_dispatch__, mode.__exit__),
    )


def install(is_users):
    """is_users: whether a file name is that of a traced program."""
    import ctypes
    import gc

    gc.disable()  # the collector must not close generators in the middle of the hook
    oracle = Oracle(is_users)
    hook = ctypes.py_object(oracle.changed)
    oracle.hook = hook  # the library has no reference of its own
    ctypes.PyDLL(None).setter_hook_install(hook)
    _learn(oracle)
    _wrap(oracle)
    return oracle
