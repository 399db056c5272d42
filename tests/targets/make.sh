#!/bin/sh
# Makes the real PyTorch installations the tests run against, once, in a cache outside git.
#
#   tests/targets/make.sh NAME...      make what is missing; print one line NAME<TAB>DIR each
#   tests/targets/make.sh --list       the names
#   tests/targets/make.sh --folder NAME  where it is or would be
#
# wheel-*   a virtual environment with the upstream wheel
# debian-*  a debootstrap folder with Debian's python3-torch
#
# GRADWATCH_CACHE          where (default: $XDG_CACHE_HOME/gradwatch or ~/.cache/gradwatch)
# GRADWATCH_PYTHON311      a CPython 3.11 with venv (default: python3.11, then python3)
# GRADWATCH_DEBIAN_MIRROR  the mirror for debootstrap (default: the one apt on this machine uses)
#
# A target is complete when it holds a file ".complete" with the recipe it was made by; anything
# else in its place is an interrupted or an older make and is made again.
set -eu

here=$(dirname "$0")
cache=${GRADWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gradwatch}/targets
names="wheel-2.13.0 wheel-2.5.1 wheel-2.1.2 debian-2.14.1 debian-2.6.0 debian-1.13.1"

say() { printf 'targets: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

retry() {
	for pause in 5 20 60 0; do
		"$@" && return 0
		[ "$pause" = 0 ] && return 1
		say "failed: $* (again in $pause s)"
		sleep "$pause"
	done
}

python311() {
	for candidate in ${GRADWATCH_PYTHON311:-} python3.11 python3; do
		if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
			command -v "$candidate"
			return 0
		fi
	done
	die "no CPython 3.11 with venv: apt-get install python3.11-venv, or set GRADWATCH_PYTHON311"
}

wheel() { # DIR REQUIREMENT...
	dir=$1
	shift
	"$(python311)" -m venv "$dir"
	retry "$dir/bin/python" -m pip install -qq --disable-pip-version-check "$@"
}

debian() { # DIR SUITE
	command -v debootstrap >/dev/null || die "no debootstrap: apt-get install debootstrap"
	url=$("$here/mirror.sh")
	retry debootstrap --variant=minbase --include=python3-torch,python3-numpy "$2" "$1" "$url" >"$1.log" 2>&1 ||
		die "debootstrap of $2 failed, see $1.log"
	rm -rf "$1/var/cache/apt/archives" "$1/var/lib/apt/lists"
	mkdir -p "$1/var/cache/apt/archives/partial" "$1/var/lib/apt/lists/partial"
}

recipe() { # NAME: what the target is made of; a change here makes it again
	case $1 in
	wheel-2.13.0) echo "torch==2.13.0 numpy==2.2.6" ;;
	wheel-2.5.1) echo "torch==2.5.1 numpy==2.2.6" ;;
	wheel-2.1.2) echo "torch==2.1.2 numpy==1.26.4" ;;
	debian-2.14.1) echo sid ;;
	debian-2.6.0) echo trixie ;;
	debian-1.13.1) echo bookworm ;;
	*) die "unknown target '$1' (one of: $names)" ;;
	esac
}

make_one() { # NAME
	dir=$cache/$1
	what=$(recipe "$1")
	if [ "$(cat "$dir/.complete" 2>/dev/null)" != "$what" ]; then
		say "making $1 ($what) in $dir"
		rm -rf "$dir"
		# shellcheck disable=SC2086 # a list of requirements
		case $1 in
		wheel-*) wheel "$dir" $what ;; # the recipe is a list of requirements
		debian-*) debian "$dir" "$what" ;;
		esac
		printf '%s\n' "$what" >"$dir/.complete"
	fi
	printf '%s\t%s\n' "$1" "$dir"
}

[ $# -gt 0 ] || die "usage: $0 NAME... (one of: $names)"
if [ "$1" = --list ]; then
	printf '%s\n' $names
	exit 0
fi
if [ "$1" = --folder ]; then
	[ $# -eq 2 ] || die "usage: $0 --folder NAME"
	printf '%s\n' "$cache/$2"
	exit 0
fi
mkdir -p "$cache"
for name in "$@"; do
	recipe "$name" >/dev/null
	# One maker per target at a time; the others wait and find it complete.
	(
		exec 9>"$cache/$name.lock"
		flock 9
		make_one "$name"
	)
done
