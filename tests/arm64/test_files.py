# SPDX-License-Identifier: GPL-2.0-or-later
"""What is found in real arm64 builds of libc10, which are read here and not run.

Wheels still have a symbol table that names the thread-local variables, which gradwatch does not
use: it is what its offsets are held against. Debian's have none.
"""

import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
GRADWATCH = os.environ["GRADWATCH_BINARY"]
# Ends of mangled names: one of them became static with time.
GRAD, MODES, GUARD = "18autograd_state_tlsE", "22torchDispatchModeStateE", "__tls_guard"
# c10/core/impl/TorchDispatchModeTLS.h: a vector, then a slot of 24 bytes for each key.
VECTOR, SLOT, ENGAGED, PROXY = 24, 24, 16, 1


def libraries():
    told = subprocess.run(
        [HERE / "libraries.sh"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=3600,
        env={**os.environ, "PYTHON": sys.executable},
    )
    return dict(line.split("\t") for line in told.stdout.splitlines())


LIBRARIES = libraries()


def doctor(path):
    run = subprocess.run([GRADWATCH, "doctor", path], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def offsets(told):
    """(Name, offset in the thread-local block) as they are printed."""
    found = re.findall(r"^ +(\S.*?) +block \+ 0x([0-9a-f]+)$", told, re.MULTILINE)
    return [(name, int(number, 16)) for name, number in found]


def variables(path, name):
    """(Offset, size) of those whose mangled names end so, from .symtab."""
    told = subprocess.run(
        ["readelf", "--wide", "--syms", path], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split() for line in told.splitlines() if " TLS " in line]
    return [(int(row[1], 16), int(row[2], 0)) for row in rows if row[7].endswith(name)]


@pytest.mark.parametrize("name", LIBRARIES)
def test_plan(name):
    told = doctor(LIBRARIES[name])
    assert " for aarch64, " in told
    assert "verdicts: certain" in told
    (setter,) = [line for line in told.splitlines() if line.startswith("  set_enabled ")]
    assert setter.endswith("emulated by the kernel")
    keyed = "the PROXY slot of the keyed dispatch modes" in told
    sites = ["set_mode", "unset_mode", "pop_highest_infra_mode"]
    for site in sites if keyed else ["push_onto_stack", "pop_stack"]:
        assert f"\n  {site} " in told


@pytest.mark.parametrize("name", [name for name in LIBRARIES if name.startswith("wheel")])
def test_offsets(name):
    told = offsets(doctor(LIBRARIES[name]))
    found = dict(told)
    ((start, size),) = variables(LIBRARIES[name], GRAD)
    assert start <= found["grad mode"] < start + size
    ((start, _),) = variables(LIBRARIES[name], MODES)
    if "PROXY slot" in found:
        assert found["PROXY slot"] == start + VECTOR + PROXY * SLOT
        assert found["PROXY slot engaged"] == found["PROXY slot"] + ENGAGED
    else:
        assert found["stack of modes"] == start
    guards = {offset for offset, _ in variables(LIBRARIES[name], GUARD)}
    used = {offset for name, offset in told if name == "initialised when"}
    assert len(used) == 2 and used <= guards
