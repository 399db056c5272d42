# SPDX-License-Identifier: GPL-2.0-or-later
"""More code objects change the grad mode in one trace than gradwatch remembers; then one more."""

import time

import torch
from torch.fx.experimental.proxy_tensor import make_fx

COUNT = 70000  # more than CODES_MAX


def toggle():
    torch._C._set_grad_enabled(False)
    torch._C._set_grad_enabled(True)


def copies():
    kind = type(toggle)
    for number in range(COUNT):
        code = toggle.__code__.replace(co_filename="/many.py", co_name=f"toggle_{number}")
        yield kind(code, globals())


def many(x, functions):
    for number, function in enumerate(functions):
        function()
        if number % 50 == 0:
            time.sleep(0.005)  # so that gradwatch keeps up
    return x + 1


def last(x):
    with torch.no_grad():
        return x * 2


if __name__ == "__main__":
    kept = list(copies())  # so that no two are at one address
    make_fx(lambda x: many(x, kept))(torch.ones(2))
    time.sleep(1)
    make_fx(last)(torch.ones(2))
