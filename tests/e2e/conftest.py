# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures. The tests need root and the binary: without them they fail, they do not skip."""

import functools
import os
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import enforcing  # noqa: E402
import mapping  # noqa: E402
import processes  # noqa: E402
import targets  # noqa: E402

make_target = functools.lru_cache(maxsize=None)(targets.make)


def pytest_generate_tests(metafunc):
    if "target" in metafunc.fixturenames:
        metafunc.parametrize("target", targets.chosen(), indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def binary():
    path = pathlib.Path(os.environ.get("GRADWATCH_BINARY") or targets.REPO / "build" / "gradwatch")
    if os.geteuid() != 0:
        pytest.fail("end-to-end tests need root")
    if not os.access(path, os.X_OK):
        pytest.fail(f"no gradwatch at {path}: make, or set GRADWATCH_BINARY")
    return path.resolve()


@pytest.fixture(scope="session", autouse=True)
def environment():
    """One thread each: the machine is shared, and no pools of threads disturb."""
    os.environ.update(
        OMP_NUM_THREADS="1",
        MKL_NUM_THREADS="1",
        PYTHONDONTWRITEBYTECODE="1",
        UCX_LOG_LEVEL="fatal",  # of Debian's MPI
    )
    for name in ("SUDO_UID", "SUDO_GID", "NO_COLOR"):
        os.environ.pop(name, None)
    # A shell starts what runs in the background with this one ignored, and targets inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # nohup the same with this one; a handler does not outlive exec.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)


@pytest.fixture(scope="session")
def target(request):
    return make_target(request.param)


@pytest.fixture(scope="session")
def any_target():
    """For what does not depend on the build."""
    return make_target(targets.chosen()[0])


@pytest.fixture(autouse=True)
def nothing_left_behind():
    yield
    processes.kill_all()


@pytest.fixture
def gradwatch(binary):
    """Starts the monitor."""
    return functools.partial(processes.Gradwatch, binary)


@pytest.fixture(scope="session")
def mapper(tmp_path_factory):
    """Starts a process that maps a library."""
    program = tmp_path_factory.mktemp("mapper") / "mapper"
    command = ["gcc", "-O1", targets.PROGRAMS / "mapper.c", "-o", program, "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return functools.partial(mapping.Mapper, program)


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The environment of a gradwatch whose kernel is as tests/programs/kernel_shim.c can be."""
    library = tmp_path_factory.mktemp("shim") / "kernel_shim.so"
    source = targets.PROGRAMS / "kernel_shim.c"
    command = ["gcc", "-O1", "-shared", "-fPIC", source, "-o", library, "-ldl"]
    subprocess.run(command, check=True)

    def environment(*words):
        return os.environ | {"LD_PRELOAD": str(library), "GRADWATCH_SHIM": ",".join(words)}

    return environment


@pytest.fixture
def puppet(any_target, tmp_path):
    """Starts a process that does what it is told."""

    def start(*arguments, on=any_target, **options):
        return processes.Puppet(on.command(tmp_path, "puppet.py", *arguments), **options)

    return start


@pytest.fixture
def enforced(any_target, tmp_path):
    def start(scene, *arguments, on=any_target, wrapper=(), **options):
        argv = on.command(tmp_path, "enforced.py", scene, *map(str, arguments))
        return enforcing.Enforced([*wrapper, *argv], **options)

    return start
