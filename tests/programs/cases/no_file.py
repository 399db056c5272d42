# SPDX-License-Identifier: GPL-2.0-or-later
"""Code without a file, and with files whose names look like those of others."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

SOURCE = """
def helper(x):
    with torch.no_grad():
        return x * 2

def function(x):
    return helper(x) + x
"""

NAMES = [
    "<string>",
    "<ipython-input-7-abcdef>",
    "/lib/python3-app/site/model.py",
    "/home/user/lib/python3.9-projects/model.py",
    "/home/user/-packages/torch/model.py",
    "/home/user/torch/export/model.py",
    "/home/user/pytorch/torch/model.py",
]

x = torch.ones(3, requires_grad=True)
for name in NAMES:
    names = {"torch": torch}
    exec(compile(SOURCE, name, "exec"), names)
    make_fx(names["function"])(x)

names = {"torch": torch}
make_fx(eval("lambda x: (torch.no_grad().__enter__(), x * 3)[1]", names))(x)
torch.set_grad_enabled(True)
