#!/bin/sh
# Runs in a guest: what gradwatch can do here, what the verifier makes of its programs, and tests.
# The results go to the second serial line, between marks: table.py reads them.
PATH=/gradwatch:/usr/bin:/bin:/usr/sbin:/sbin
PYTHONPATH=/gradwatch/packages
PYTHONDONTWRITEBYTECODE=1
GRADWATCH_BINARY=/gradwatch/gradwatch
GRADWATCH_STANDIN=/gradwatch/standin
GRADWATCH_TARGETS=installed-2.14.1
GRADWATCH_SLOWNESS=8
export PATH PYTHONPATH PYTHONDONTWRITEBYTECODE GRADWATCH_BINARY GRADWATCH_STANDIN
export GRADWATCH_TARGETS GRADWATCH_SLOWNESS
results=/tmp/results
box=/gradwatch/busybox

# What test_stacks takes for an interpreter that was installed by hand.
mkdir -p /tmp/pyenv/versions/3.14/bin
ln -s /usr/bin/python3 /tmp/pyenv/versions/3.14/bin/python3
PYENV_ROOT=/tmp/pyenv
export PYENV_ROOT

section() { # NAME COMMAND...
	echo "== $1"
	shift
	"$@" 2>&1
}

{
	section release $box uname -r
	section doctor gradwatch doctor
	section verifier verify /gradwatch/standin/keyed/libc10.so /gradwatch/standin/stack/libc10.so
} | tee $results
cd /gradwatch/tests || exit 1
# Where BPF raises by itself, it has to hold under load.
more=
if grep -q '^raising.*by BPF' $results; then
	more="e2e/test_enforcement.py::test_raise_many e2e/test_enforcement.py::test_raise_threads"
fi
# How a library is laid out is not the kernel's affair: the long tests are run on two layouts only.
# The last file locks the kernel down, which cannot be taken back.
# shellcheck disable=SC2086 # a list of tests
python3 -m pytest -p no:cacheprovider -q -rA --tb=short --junitxml=/tmp/junit.xml \
	-k "not tlsdesc and not (random and (pairs or endbr64))" \
	e2e/test_standin.py \
	e2e/test_stacks.py::test_stacks_in_torch e2e/test_stacks.py::test_stacks_of_an_interpreter \
	"e2e/test_enforcement.py::test_raise" $more \
	"e2e/test_kinds.py::test_toggling_model" \
	e2e/test_kernel_lacks.py \
	kernels/test_rights.py
{
	cat $results
	echo "== junit"
	cat /tmp/junit.xml
	echo
	echo "== end"
} >/dev/ttyS1
