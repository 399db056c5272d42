# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of files and functions that are longer than is kept of them: 256 bytes."""

import pytest

CUT = "\u2026"
LONG = "n" * 300
PROGRAM = """
import torch
from torch.fx.experimental.proxy_tensor import make_fx

def {name}(x):
    with torch.no_grad():
        y = x.relu()
    return x + y

make_fx({name})(torch.ones(2))
"""


@pytest.fixture
def run(any_target, gradwatch, tmp_path):
    """The one finding of a program with so long a path, and a function of this name."""
    if any_target.in_root:
        pytest.skip("the path of a program is another one in its root")

    def start(path_bytes, name, *options, json_lines=True):
        folder = tmp_path
        while (missing := path_bytes - len(str(folder)) - len("/model.py")) > 0:
            folder /= "f" * min(200, missing - 1)
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / "model.py"
        program.write_text(PROGRAM.format(name=name))
        assert len(str(program)) == path_bytes
        monitor = gradwatch(
            *options, "--", any_target.python(), program, json_lines=json_lines
        ).finish()
        assert monitor.popen.returncode == 0, monitor.stderr
        if not json_lines:
            return monitor.stderr
        (finding,) = monitor.of_type("finding")
        return finding, str(program)

    return start


@pytest.mark.parametrize(
    ("path_bytes", "name", "cut"),
    [(256, "n" * 256, False), (257, "f", True), (300, "f", True), (100, LONG, True)],
)
def test_cut_names_say_so(run, path_bytes, name, cut):
    finding, path = run(path_bytes, name)
    assert finding["user"].get("cut", False) is cut
    for told, whole in ((finding["user"]["file"], path), (finding["user"]["function"], name)):
        assert told == (whole if len(whole) <= 256 else whole[:256] + CUT)
    whole = [frame for frame in finding["stack"] if "/torch/" in frame["file"]]
    assert whole and not any("cut" in frame for frame in whole)


def test_cut_names_in_text(run):
    text = run(300, LONG, json_lines=False)
    assert f"{CUT}:6 in {'n' * 256}{CUT}" in text


@pytest.mark.parametrize(
    ("file", "name", "accepted"),
    [
        ("*/model.py", "*", False),  # what it ends with is not known
        ("{path}", "*", False),
        ("{kept}", "*", False),  # another file may begin so
        ("{kept}*", "*", True),
        ("/tmp/*", "*", True),
        ("*", LONG, False),
        ("*", "n" * 256, False),
        ("*", "nnn*", True),
    ],
)
def test_patterns_and_cut_names(run, tmp_path, file, name, accepted):
    _, path = run(300, LONG)
    known = tmp_path / "known"
    pattern = file.format(path=path, kept=path[:256])
    known.write_text(f"known * {pattern} {name}\n")
    finding, _ = run(300, LONG, "--suppress", known)
    assert (finding["suppressed_by"] == "known") is accepted


def test_printed_suppression_of_a_cut_name(any_target, gradwatch, run, tmp_path):
    _, path = run(300, LONG)
    known = tmp_path / "known"
    options = ["--print-suppressions", "-o", known]
    command = ["--", any_target.python(), path]
    assert gradwatch(*options, *command, json_lines=False).wait() == 0
    finding, _ = run(300, LONG, "--suppress", known)
    assert finding["suppressed_by"]
