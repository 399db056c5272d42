# SPDX-License-Identifier: GPL-2.0-or-later
"""Becomes its arguments under a filter that kills for signals, tracing and the calls of uprobes.

With "no-bpf" before them, under one that has bpf fail as on a kernel that was built without it.
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
KILL, ALLOW, FAIL = 0x80000000, 0x7FFF0000, 0x00050000
ENOSYS = 38
# kill, ptrace, tkill, tgkill; on x86-64 also uretprobe and uprobe
BPF, NUMBERS = {
    "x86_64": (321, (62, 101, 200, 234, 335, 336)),
    "aarch64": (280, (129, 117, 130, 131)),
}[os.uname().machine]

answer = KILL
if sys.argv[1] == "no-bpf":
    del sys.argv[1]
    answer = FAIL | ENOSYS
    NUMBERS = (BPF,)

lines = [(LOAD, 0, 0, 0)]
for index, number in enumerate(NUMBERS):
    lines.append((EQUAL, len(NUMBERS) - index, 0, number))
lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, answer)]
code = b"".join(struct.pack("HBBI", *line) for line in lines)
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(code, len(code))
program = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(buffer))
assert not libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
assert not libc.prctl(PR_SET_SECCOMP, FILTER, program, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
