# SPDX-License-Identifier: GPL-2.0-or-later
"""gradwatch doctor: what this machine can do, and what can be seen in a libtorch."""

import re
import subprocess

CHECKS = ["kernel", "capabilities", "pid namespace", "BTF", "lockdown", "ring buffer"]
CHECKS += ["BPF programs", "uprobe", "new mappings", "raising", "newer parts"]


def doctor(binary, *arguments):
    return subprocess.run(
        [binary, "doctor", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_machine(binary):
    result = doctor(binary)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout
    assert [line[:13].rstrip() for line in lines] == CHECKS
    assert all(line[14:].startswith("ok ") for line in lines)


def test_machine_without_rights(binary):
    """Each thing is tried: what fails says what to do, and all is shown."""
    result = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon", binary, "doctor"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    lines = {line[:13].rstrip(): line[14:] for line in result.stdout.splitlines()}
    assert list(lines) == CHECKS
    assert lines["kernel"].startswith("ok ")
    for name in ("capabilities", "BPF programs", "uprobe"):
        assert lines[name].startswith("FAILED") and "run as root" in lines[name]


def check_plan(target, text):
    """Every site of the generation is found, all are cheap, the offsets are known."""
    sites = {line.split()[0]: line for line in text.splitlines() if " function 0x" in line}
    expected = {"set_enabled", "set_mode", "unset_mode", "pop_highest_infra_mode"}
    if not target.keyed:
        expected = {"set_enabled", "push_onto_stack", "pop_stack"}
    assert set(sites) == expected
    assert all("emulated by the kernel" in line for line in sites.values())
    assert "push" in sites["set_enabled"]
    if target.in_root and target.version > (2,):  # behind the endbr64
        assert "probe +4" in sites["set_enabled"]
    for line in sites.values():
        assert re.search(r"file offset 0x[0-9a-f]+", line)
    assert re.search(r"grad mode +block \+ 0x[0-9a-f]+", text)
    assert "verdicts: certain, from the thread's own state" in text


def test_file(target, binary):
    result = doctor(binary, target.libc10())
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == str(target.libc10())
    check_plan(target, result.stdout)


def test_symbol_addresses(target, binary):
    """The site is that of the symbol table's function."""
    text = doctor(binary, target.libc10()).stdout
    shown = int(re.search(r"set_enabled +function 0x([0-9a-f]+)", text)[1], 16)
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", target.libc10()], capture_output=True, text=True, timeout=60
    ).stdout
    assert (
        int(re.search(r"^([0-9a-f]+) T _ZN3c108GradMode11set_enabledEb$", symbols, re.M)[1], 16)
        == shown
    )


def test_process(target, binary, puppet):
    process = puppet(on=target)
    result = doctor(binary, "--pid", process.pid)
    assert result.returncode == 0, result.stderr
    check_plan(target, result.stdout)
    assert f"torch {'.'.join(map(str, target.version[:2]))}" in result.stdout
    process.end()


def test_help_and_version(binary):
    for option in ("--help", "-h"):
        result = subprocess.run([binary, option], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0 and "--pid N" in result.stdout and not result.stderr
    for option in ("--version", "-V"):
        result = subprocess.run([binary, option], capture_output=True, text=True, timeout=60)
        assert re.fullmatch(r"gradwatch \d+\.\d+\.\d+\n", result.stdout), result.stdout


def test_dispatch_key(target, tmp_path, binary):
    """The bit of the key that says that a pre-dispatch trace is on, as PyTorch has it."""
    (tmp_path / "key.py").write_text(
        "import torch\n"
        "key = getattr(getattr(torch._C, 'DispatchKey', None), 'PreDispatch', None)\n"
        "bits = torch._C.DispatchKeySet(key) if key else None\n"
        "print('set', getattr(bits, 'raw_repr', lambda: -1)() if key else 0)\n"
    )
    argv = target.wrap(tmp_path, [target.python(), target.path(tmp_path / "key.py")])
    result = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    (answer,) = [line for line in result.stdout.splitlines() if line.startswith("set ")]
    shown = doctor(binary, target.libc10()).stdout
    bit = re.search(r"of PreDispatch +bit (\d+)", shown)
    bits = int(answer.split()[1])
    assert bits == (1 << int(bit[1]) if bit else 0) or (bits == -1 and target.version < (2, 5))
    assert bool(bit) == (target.version >= (2, 1)), shown
