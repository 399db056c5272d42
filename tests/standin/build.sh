#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the stand-in for libc10 in all variants: build.sh DIR makes DIR/VARIANT/libc10.so.
#   keyed    slots by mode key (PyTorch 2.2 and later), all variables from one base
#   pairs    keyed, one GOT pair per thread-local variable (wheels until 2.5)
#   stack    a stack of modes (2.0 - 2.1), one GOT pair per variable
#   endbr64  keyed, functions start with endbr64 (AArch64: paciasp) as in Debian's builds
#   tlsdesc  keyed, TLS descriptors: no build of libtorch does so on x86-64 and gradwatch cannot
#            read them there, so verdicts must come out as uncertain
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
here=$(dirname "$0")

build() { # VARIANT FLAG...
	out=$1/$2
	shift 2
	mkdir -p "$out"
	${CXX:-g++} -std=c++17 -O2 -g0 -fPIC -shared -Wall -Wextra -Werror "$@" -Wl,-soname,libc10.so \
		-o "$out/libc10.so.new" "$here/autograd.cpp" "$here/modes.cpp" "$here/helpers.cpp"
	# In one step: a test may have the old file mapped.
	mv "$out/libc10.so.new" "$out/libc10.so"
}

case $(${CXX:-g++} -dumpmachine) in
x86_64*) plain=-fcf-protection=none hardened=-fcf-protection=full ;;
*) plain=-mbranch-protection=none hardened=-mbranch-protection=standard ;;
esac
build "$1" keyed $plain
build "$1" pairs $plain -DSTANDIN_PAIRS
build "$1" stack $plain -DSTANDIN_STACK
build "$1" endbr64 $hardened
if [ $plain = -fcf-protection=none ]; then
	build "$1" tlsdesc $plain -mtls-dialect=gnu2
fi
