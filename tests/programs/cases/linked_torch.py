# SPDX-License-Identifier: GPL-2.0-or-later
"""A PyTorch that is found in a folder of another name, as with pip's --target or PYTHONPATH."""

import importlib.util
import pathlib
import sys
import tempfile

with tempfile.TemporaryDirectory() as folder:
    (installed,) = importlib.util.find_spec("torch").submodule_search_locations
    for package in ("torch", "torchgen", "functorch"):
        (pathlib.Path(folder) / package).symlink_to(pathlib.Path(installed).parent / package)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    assert torch.__file__.startswith(folder)

    def first(x):
        with torch.no_grad():  # FIRST
            return x * 2

    def second(x):
        with torch.no_grad():  # SECOND
            return first(x) + x * 3

    for function in (first, second):
        make_fx(function)(torch.ones(3, requires_grad=True))
