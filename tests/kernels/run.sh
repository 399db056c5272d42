#!/bin/sh
# Runs gradwatch on other kernels than this machine's, in QEMU without KVM: Debian's kernel packages
# from 5.10 to the newest, with a real PyTorch, in images that are made here and kept in the cache.
#
#   tests/kernels/run.sh BUILD [--write]
#
# Ends with what failed, "N passed, N failed" and a table (table.py); with --write the table goes into
# the README. A kernel that cannot be had or booted is a failure.
set -eu

build=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${GRADWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gradwatch}/kernels
suites=${GRADWATCH_KERNELS:-bullseye bookworm trixie sid}
at_once=2

say() { printf 'kernels: %s\n' "$*" >&2; }

prepare() { # SUITE: a line says why it could not be done
	"$here/fetch.sh" "$cache/$1" "$1" || say "cannot make the kernel of $1"
}

mkdir -p "$cache"
"$root/tools/deps.sh" build test kernels
for suite in $suites; do
	rm -rf "$cache/results/$suite"
	prepare "$suite"
done
"$here/image.sh" base "$cache/base"
"$here/image.sh" own "$cache/own" "$build"
say "booting $suites"
# shellcheck disable=SC2086 # a list of names
printf '%s\n' $suites | xargs -P "$at_once" -I{} \
	"$here/boot.sh" "$cache/{}" "$cache" guest.sh "$cache/results/{}" || say "a guest was ended"
for suite in $suites; do
	set -- "$@" "$cache/results/$suite/results"
done
shift
python3 "$here/table.py" "$@"
