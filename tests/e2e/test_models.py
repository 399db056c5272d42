# SPDX-License-Identifier: GPL-2.0-or-later
"""Real model code: the transformers package, in which `@torch.no_grad()` on a forward is common."""

import os
import pathlib
import subprocess

import pytest

VERSION = "5.2.0"
XDG_CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
CACHE = pathlib.Path(os.environ.get("GRADWATCH_CACHE") or XDG_CACHE / "gradwatch")


@pytest.fixture(scope="session")
def transformers(target):
    """A folder with the package and what it needs, made once, outside git."""
    if target.name != "wheel-2.13.0":
        pytest.skip("one PyTorch is enough for model code")
    folder = CACHE / f"transformers-{VERSION}"
    if not folder.exists():
        made = folder.with_suffix(f".{os.getpid()}")
        pip = [target.python(), "-m", "pip", "install", "--quiet", "--retries", "5"]
        subprocess.run([*pip, "--target", made, f"transformers=={VERSION}"], check=True)
        made.rename(folder)
    return folder


@pytest.fixture
def trace(target, transformers, tmp_path, gradwatch):
    def run(*arguments):
        environment = {"PYTHONPATH": str(transformers), "HF_HUB_OFFLINE": "1"}
        argv = target.command(tmp_path, "models.py", *arguments, environment=environment)
        monitor = gradwatch("--", *argv).finish()
        assert monitor.status == 0, monitor.stderr
        assert any(line.startswith("nodes ") for line in monitor.other), "no graph was made"
        return monitor

    return run


def test_llama(trace):
    """Its rotary embedding turns the grad mode off: one finding, which names it and its caller."""
    monitor = trace("llama")
    (finding,) = monitor.of_type("finding")
    assert finding["decorated"]["function"] == "LlamaRotaryEmbedding.forward"
    assert finding["decorated"]["file"].endswith("/modeling_llama.py")
    assert finding["manager"] == "no_grad" and finding["decorator"]
    assert finding["user"]["function"] == "LlamaModel.forward"
    assert finding["user"]["file"].endswith("/modeling_llama.py")
    assert finding["restored"] and finding["operators"] > 0
    assert len(monitor.violations) == 2


def test_llama_exported(trace):
    """The default export makes a region of the rotary embedding, of which a note tells."""
    monitor = trace("llama", "export")
    (answer,) = [line for line in monitor.other if line.startswith("nodes ")]
    assert answer.endswith(" regions 1")
    (finding,) = [event for event in monitor.of_type("finding") if event["severity"] == "note"]
    assert finding["advice"] == "region"
    assert finding["decorator"] and finding["began"]["grad"]
    assert monitor.end_event["notes"] == 1 and monitor.end_event["findings"] == 0


@pytest.mark.parametrize("model", ["gpt2", "bert"])
def test_models_exported(trace, model):
    """Nothing of an export itself is taken for the model's."""
    monitor = trace(model, "export")
    assert not monitor.of_type("finding") and monitor.end_event["notes"] == 0


@pytest.mark.parametrize("model", ["gpt2", "bert"])
def test_models_that_leave_the_grad_mode_alone(trace, model):
    monitor = trace(model)
    assert not monitor.of_type("finding") and not monitor.violations
    assert monitor.end_event["traces"] == 1
