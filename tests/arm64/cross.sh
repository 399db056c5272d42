#!/bin/sh
# Runs make for aarch64, with Debian's cross compiler: tests/arm64/cross.sh BUILD TARGET...
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$1
shift
sysroot=$("$here/sysroot.sh")
PKG_CONFIG_LIBDIR=$sysroot/usr/lib/aarch64-linux-gnu/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$sysroot
CXX="aarch64-linux-gnu-g++ --sysroot=$sysroot"
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR CXX
exec make --no-print-directory -C "$here/../.." BUILD="$build" ARCH=aarch64 \
	CC="aarch64-linux-gnu-gcc --sysroot=$sysroot" "$@"
