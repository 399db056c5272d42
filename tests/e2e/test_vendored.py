# SPDX-License-Identifier: GPL-2.0-or-later
"""PyTorch in a folder of another name than *-packages, as `pip install --target` makes it."""

import json
import pathlib
import subprocess

import pytest

APP = """
import torch
from torch.fx.experimental.proxy_tensor import make_fx


def f(x):
    with torch.no_grad():
        return x * 2


make_fx(f)(torch.ones(2))
"""


@pytest.fixture(params=["mounted", "linked"])
def command(request, any_target, tmp_path):
    """Runs APP with the target's packages under another name, of a file's path or of a link's."""
    if any_target.in_root:
        pytest.skip("its packages are in a root of its own")
    (packages,) = pathlib.Path(any_target.directory).glob("lib/python3*/site-packages")
    vendor = tmp_path / "opt" / "parts"
    vendor.mkdir(parents=True)
    (tmp_path / "app.py").write_text(APP)
    make = f"mount --bind {packages} {vendor}"
    if request.param == "linked":
        make = f"ln -sf {packages}/* {vendor}/"
    run = f"exec env PYTHONPATH={vendor} {any_target.python()} -S {tmp_path}/app.py"
    return ["unshare", "--mount", "sh", "-c", f"{make} && {run}"]


@pytest.fixture
def run(binary, command, tmp_path):
    def events(*options):
        out = tmp_path / "events"
        done = subprocess.run(
            [binary, "--json", "-o", out, *options, "--", *command],
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = [json.loads(line) for line in out.read_text().splitlines()]
        return done, found

    return events


def of_type(events, kind):
    return [event for event in events if event["type"] == kind]


def test_finding(run, tmp_path):
    done, events = run()
    assert done.returncode == 0, done.stderr
    (finding,) = of_type(events, "finding")
    assert (finding["kind"], finding["severity"]) == ("make_fx", "violation")
    assert finding["user"]["file"] == str(tmp_path / "app.py")
    assert (finding["user"]["function"], finding["restored"]) == ("f", True)
    assert finding["manager"] == "no_grad"


def test_suppressed(run, tmp_path):
    known = tmp_path / "known"
    known.write_text("mine make_fx */app.py f\n")
    done, events = run("--suppress", known, "--fail")
    assert done.returncode == 0, done.stderr
    (finding,) = of_type(events, "finding")
    assert finding["severity"] == "suppressed"


def test_raise(run):
    done, events = run("--on-violation", "raise", "--enforce-kinds", "make_fx")
    assert done.returncode == 1 and "RuntimeError: gradwatch" in done.stderr, done.stderr
    (action,) = of_type(events, "action")
    assert (action["kind"], action["outcome"]) == ("make_fx", "performed")
