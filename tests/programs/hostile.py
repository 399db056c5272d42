# SPDX-License-Identifier: GPL-2.0-or-later
"""Breaks its own interpreter state round changes of the grad mode: hostile.py STANDIN HOW.

For CPython 3.9 and 3.10, whose frames are objects: f_back is at 24, f_code at 32. What was
written is put back before Python looks at it.
"""

import ctypes
import sys

import stacks

F_BACK, F_CODE, STR_LENGTH = 24, 32, 16
WILD = 0xDEAD000


def write(address, value):
    """Writes a word; returns the old one."""
    word = ctypes.c_uint64.from_address(address)
    old, word.value = word.value, value
    return old


def change(address, value):
    """Changes the grad mode while a word has another value."""
    setter, to = stacks.setter, not stacks.getter()
    old = write(address, value)
    setter(to)
    write(address, old)


def cycle():
    frame = sys._getframe()
    change(id(frame) + F_BACK, id(frame))


def wild_frame():
    change(id(sys._getframe()) + F_BACK, WILD)


def wild_code():
    change(id(sys._getframe()) + F_CODE, WILD)


def long_name():
    change(id(sys._getframe().f_code.co_name) + STR_LENGTH, 2**31)


def main():
    stacks.use_standin(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    stacks.traced({f.__name__: f for f in (cycle, wild_frame, wild_code, long_name)}[sys.argv[2]])


if __name__ == "__main__":
    main()
