# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: those of tests/e2e."""

import importlib.util
import pathlib
import sys

E2E = pathlib.Path(__file__).resolve().parents[1] / "e2e"
sys.path[:0] = [str(E2E)]
spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
e2e = importlib.util.module_from_spec(spec)
spec.loader.exec_module(e2e)

binary = e2e.binary
environment = e2e.environment
any_target = e2e.any_target
nothing_left_behind = e2e.nothing_left_behind
gradwatch = e2e.gradwatch
puppet = e2e.puppet
