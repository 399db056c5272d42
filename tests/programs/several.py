# SPDX-License-Identifier: GPL-2.0-or-later
"""A job whose log has findings of several kinds: for the logs that tests/logs keeps.

A block in a make_fx in a thread, a mode that is left changed, an export that does not record
changes, a default export that has a region, and a decomposition that changes the mode.
"""

import threading

import torch
from torch import nn
from torch.export._trace import _export
from torch.fx.experimental.proxy_tensor import make_fx


class Block(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x * 2
        return (x + y).relu()


x = torch.ones(3, requires_grad=True)


def block(x):
    with torch.no_grad():
        y = x * 2
    return x + y


def left_off(x):
    torch.set_grad_enabled(False)
    return x * 2


def decomposed(x):
    with torch.enable_grad():
        return x.clamp(min=0)


thread = threading.Thread(target=lambda: make_fx(block)(x))
thread.start()
thread.join()
make_fx(left_off)(x)
torch.set_grad_enabled(True)
exported = torch.export.export(Block(), (torch.ones(3),))
with torch.enable_grad():
    _export(Block(), (torch.ones(3),), pre_dispatch=False)
exported.run_decompositions({torch.ops.aten.relu.default: decomposed})
