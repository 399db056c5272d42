# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that descend from one another, each of which makes one trace when it is told to.

  family.py tree FOLDER    a root with two children, one of which has a child with a child
  family.py chain FOLDER   each process forks the next, until FOLDER/grown exists

A process that waits says {"pid": ...}. When FOLDER/go exists, each makes its trace, and the last to
end is the root.
"""

import json
import os
import pathlib
import sys
import time

import torch
from torch.fx.experimental.proxy_tensor import make_fx

LONGEST = 150
STEP = 0.01

folder = pathlib.Path(sys.argv[2])


def small(x):
    with torch.no_grad():
        y = x.relu()
    return x + y


def wait_for(name):
    while not (folder / name).exists():
        time.sleep(STEP)


def say_and_go(children):
    os.write(1, (json.dumps({"pid": os.getpid()}) + "\n").encode())
    wait_for("go")
    make_fx(small)(torch.ones(2))
    for child in children:
        os.waitpid(child, 0)


def member(descendants):
    """descendants: of each child, the same."""
    children = []
    for of_child in descendants:
        child = os.fork()
        if child == 0:
            member(of_child)
            os._exit(0)
        children.append(child)
    say_and_go(children)


def chain(number):
    children = []
    time.sleep(STEP)
    if number < LONGEST and not (folder / "grown").exists():
        child = os.fork()
        if child == 0:
            chain(number + 1)
            os._exit(0)
        children.append(child)
    say_and_go(children)


torch.set_num_threads(1)
make_fx(small)(torch.ones(2))
if sys.argv[1] == "tree":
    member([[], [[[]]]])
else:
    os.write(1, b'{"pid": 0}\n')
    chain(1)
