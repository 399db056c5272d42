#!/bin/sh
# Runs gradwatch on other kernels than this machine's, in QEMU without KVM: Debian's kernel packages
# from 5.10 to the newest, with a real PyTorch, and one for arm64 with the stand-in, in images that
# are made here and kept in the cache.
#
#   tests/kernels/run.sh BUILD BUILD-FOR-ARM64 [--write]
#
# Ends with what failed, "N passed, N failed" and a table (table.py); with --write the table goes into
# the README. A kernel that cannot be had or booted is a failure. GRADWATCH_KERNELS="sid:amd64 ..."
# chooses.
set -eu

build=$1
build_arm64=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${GRADWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gradwatch}/kernels
guests=${GRADWATCH_KERNELS:-bullseye:amd64 bookworm:amd64 trixie:arm64 trixie:amd64 sid:amd64}
at_once=2

say() { printf 'kernels: %s\n' "$*" >&2; }

fetch() { # SUITE:ARCH: a line says why it could not be done
	"$here/fetch.sh" "$cache/$1" "${1%:*}" "${1#*:}" "$cache/busybox-${1#*:}" ||
		say "cannot make the kernel of $1"
}

make_disks() { # ARCH ROOT BUSYBOX BUILD
	mkdir -p "$cache/disks-$1"
	cp "$3" "$cache/busybox-$1"
	"$here/image.sh" base "$cache/disks-$1/base" "$2"
	"$here/image.sh" own "$cache/disks-$1/own" "$4" "$3" "$build/venv"
}

boot() { # SUITE:ARCH
	"$here/boot.sh" "$cache/$1" "$cache/disks-${1#*:}" guest.sh "$cache/results/$1" "${1#*:}" ||
		say "the guest of $1 was ended"
}

if [ "${1:-}" = --boot ]; then
	boot "$2"
	exit
fi
mkdir -p "$cache"
"$root/tools/deps.sh" build test kernels
case $guests in
*arm64*)
	sysroot=$("$root/tests/arm64/sysroot.sh")
	make_disks arm64 "$sysroot" "$sysroot/bin/busybox" "$build_arm64"
	;;
esac
case $guests in
*amd64*)
	torch=$("$root/tests/targets/make.sh" debian-2.14.1 | cut -f 2)
	make_disks amd64 "$torch" /bin/busybox "$build"
	;;
esac
for guest in $guests; do
	rm -rf "$cache/results/$guest"
	fetch "$guest"
done
say "booting $guests"
# shellcheck disable=SC2086 # a list of names
printf '%s\n' $guests | xargs -P "$at_once" -I{} "$0" "$build" "$build_arm64" --boot {}
for guest in $guests; do
	set -- "$@" "$cache/results/$guest/results"
done
python3 "$here/table.py" "$@"
