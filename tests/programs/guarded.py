# SPDX-License-Identifier: GPL-2.0-or-later
"""Exports in 64 ways: grad mode around it x strict x pre_dispatch x what the model does.

PyTorch's own guard is the oracle (torch/export/_safeguard.py, 2.2 - 2.8): what it would raise is
noted, and the call goes on. Each way runs under a process name of its own, which is in every
event. Prints a JSON line for each: its name, how often the guard would have raised, and the error
of the export.
"""

import ctypes
import itertools
import json
import logging
import sys
import warnings

import torch
from torch import nn
from torch.export._safeguard import AutogradStateOpsFailSafeguard
from torch.export._trace import _export

PR_SET_NAME = 15


class Block(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x * 2
        return x + y


class Decorated(nn.Module):
    @torch.no_grad()
    def forward(self, x):
        return x * 2


class Enabled(nn.Module):
    def forward(self, x):
        with torch.enable_grad():
            y = x * 2
        return x + y


class ByValue(nn.Module):
    def forward(self, x):
        with torch.set_grad_enabled(False):
            y = x * 2
        return x + y


class Calls(nn.Module):
    def forward(self, x):
        torch._C._set_grad_enabled(False)
        y = x * 2
        torch._C._set_grad_enabled(True)
        return x + y


class LeftOff(nn.Module):
    def forward(self, x):
        torch._C._set_grad_enabled(False)
        return x * 2


class Nested(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x * 2
            with torch.enable_grad():
                y = y * 3
        return x + y


class Clean(nn.Module):
    def forward(self, x):
        return x * 2


FORMS = [Block, Decorated, Enabled, ByValue, Calls, LeftOff, Nested, Clean]


guard = AutogradStateOpsFailSafeguard.__torch_function__
raised = []


def note(self, function, types, args=(), kwargs=None):
    """The guard, whose error is noted. It raises before it makes the call."""
    try:
        return guard(self, function, types, args, kwargs)
    except RuntimeError as error:
        if "autograd state manager op" not in str(error):
            raise
        raised.append(error)
    return function(*args, **(kwargs or {}))


def name(text):
    ctypes.CDLL(None).prctl(PR_SET_NAME, text.encode(), 0, 0, 0)


def export(form, ambient, strict, pre_dispatch):
    torch._C._set_grad_enabled(ambient)
    try:
        _export(form(), (torch.ones(3),), strict=strict, pre_dispatch=pre_dispatch)
    except Exception as failure:  # told
        return f"{type(failure).__name__}: {failure}"
    return None


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    AutogradStateOpsFailSafeguard.__torch_function__ = note
    ways = itertools.product(FORMS, (True, False), (True, False), (True, False))
    for number, (form, ambient, strict, pre_dispatch) in enumerate(ways):
        case = f"case{number}"
        torch._dynamo.reset()
        raised.clear()
        name(case)
        error = export(form, ambient, strict, pre_dispatch)
        name("between")
        torch._C._set_grad_enabled(True)
        answer = {
            "case": case,
            "form": form.__name__,
            "ambient": ambient,
            "strict": strict,
            "pre_dispatch": pre_dispatch,
            "raised": len(raised),
            "error": error,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
