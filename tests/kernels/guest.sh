#!/bin/sh
# Runs in a guest: what gradwatch can do here, what the verifier makes of its programs, and tests.
# The results go to the third disk, between marks: table.py reads them.
PATH=/gradwatch:/usr/bin:/bin:/usr/sbin:/sbin
PYTHONPATH=/gradwatch/packages
PYTHONDONTWRITEBYTECODE=1
GRADWATCH_BINARY=/gradwatch/gradwatch
GRADWATCH_STANDIN=/gradwatch/standin
GRADWATCH_SLOWNESS=8
export PATH PYTHONPATH PYTHONDONTWRITEBYTECODE GRADWATCH_BINARY GRADWATCH_STANDIN
export GRADWATCH_TARGETS GRADWATCH_SLOWNESS
results=/tmp/results
junit=/tmp/junit.xml
box=/gradwatch/busybox

# What test_stacks takes for an interpreter that was installed by hand.
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
mkdir -p "/tmp/pyenv/versions/$version/bin"
ln -s /usr/bin/python3 "/tmp/pyenv/versions/$version/bin/python3"
PYENV_ROOT=/tmp/pyenv
export PYENV_ROOT

# A root without PyTorch has the stand-in only.
torch=$(python3 -c 'import importlib.metadata as m; print(m.version("torch").split("+")[0])' 2>/dev/null)
GRADWATCH_TARGETS=installed-${torch:-0}

section() { # NAME COMMAND...
	echo "== $1"
	shift
	"$@"
	echo
}

# How a library is laid out is not the kernel's affair: the long tests are run on two layouts only,
# and storms, which are the loop's affair, not at all.
# The last file locks the kernel down, which cannot be taken back.
run_tests() {
	tests="e2e/test_standin.py e2e/test_stacks.py::test_stacks_of_an_interpreter"
	if [ -n "$torch" ]; then
		tests="$tests e2e/test_stacks.py::test_stacks_in_torch e2e/test_enforcement_raise.py::test_raise"
		tests="$tests e2e/test_kinds.py::test_toggling_model"
	fi
	# Where BPF raises by itself, it has to hold under load.
	if [ -n "$torch" ] && grep -q '^raising.*by BPF' $results; then
		tests="$tests e2e/test_enforcement_raise.py::test_raise_many"
		tests="$tests e2e/test_enforcement_raise.py::test_raise_threads"
	fi
	# shellcheck disable=SC2086 # a list of tests
	python3 -m pytest -p no:cacheprovider -q -rA --tb=short --junitxml=$junit \
		-k "not tlsdesc and not (random and (pairs or endbr64)) and not storm and not short_threads" \
		$tests e2e/test_kernel_lacks.py kernels/test_preemption.py \
		kernels/test_rights.py
}

cd /gradwatch/tests || exit 1
verify /gradwatch/standin/keyed/libc10.so /gradwatch/standin/stack/libc10.so >/tmp/verifier 2>/tmp/log
verified=$?
{
	section release $box uname -r
	section doctor gradwatch doctor
	section verifier cat /tmp/verifier
	section "verifier log" cat /tmp/log
} >$results 2>&1
cat $results
# Without its programs gradwatch does nothing, and each test would only wait for it.
: >$junit
[ $verified -eq 0 ] && run_tests
{
	cat $results
	section junit cat $junit
	echo "== end"
} >/dev/vdc
sync
