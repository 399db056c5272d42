# SPDX-License-Identifier: GPL-2.0-or-later
"""Code objects: what gradwatch forgets of them, the kernel's side tells it again."""

import subprocess


def test_more_than_are_remembered(target, binary, tmp_path):
    """The frames of make_fx are in each of 140,000 stacks, and still known at the end."""
    known = tmp_path / "known"
    known.write_text("many * /many.py *\n")
    out = tmp_path / "out"
    options = ["--rate", "0", "--suppress", str(known), "-o", str(out)]
    done = subprocess.run(
        [binary, *options, "--", *target.command(tmp_path, "many_codes.py")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = out.read_text().splitlines()
    (at,) = [at for at, line in enumerate(lines) if "VIOLATION" in line and "trace 2" in line]
    assert "  make_fx  " in lines[at], lines[at]
    assert lines[at + 2].endswith("many_codes.py:33 in last")
