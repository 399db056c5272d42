# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that works on whatever is done to it, and can prove it.

One thread makes a violation after the other in traces, two compute chains of hashes, one waits in a
system call. Answers each line of input with a line of JSON: how many violations were tried and
raised, the length and last value of each chain, and what was found to be wrong.
"""

import hashlib
import json
import os
import sys
import threading
import time

import torch
from torch.fx.experimental.proxy_tensor import make_fx

torch.set_num_threads(1)
setter = torch._C._set_grad_enabled
chains = [(0, b"first"), (0, b"second")]
counts = {"tried": 0, "raised": 0}
wrong = []
ended = threading.Event()


def body(x):
    for _ in range(20):
        counts["tried"] += 1
        try:
            setter(False)
        except RuntimeError as error:
            counts["raised"] += 1
            if "gradwatch" not in str(error):
                wrong.append(str(error))
            if not torch.is_grad_enabled():
                wrong.append("raised, and changed")
        setter(True)
        time.sleep(0.0005)
    return x * 2


def trace():
    while not ended.is_set():
        graph = make_fx(body)(torch.ones(2))
        if graph(torch.ones(2)).tolist() != [2.0, 2.0]:
            wrong.append("another graph")


def chain(number):
    length, value = chains[number]
    while not ended.is_set():
        for _ in range(100):
            value = hashlib.sha256(value).digest()
        length += 100
        chains[number] = (length, value)
        time.sleep(0.001)


def main():
    make_fx(lambda x: x + 1)(torch.ones(2))  # what is made on first use is made
    threads = [threading.Thread(target=chain, args=(number,)) for number in range(len(chains))]
    threads += [threading.Thread(target=trace), threading.Thread(target=ended.wait)]
    for thread in threads:
        thread.start()
    os.write(1, b"ready\n")
    for _ in sys.stdin:
        told = [[length, value.hex()] for length, value in chains]
        os.write(1, (json.dumps({**counts, "chains": told, "wrong": wrong}) + "\n").encode())
    ended.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
