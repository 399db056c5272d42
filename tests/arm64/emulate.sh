#!/bin/sh
# Runs a cross-built program under user-mode emulation: tests/arm64/emulate.sh PROGRAM ARGS...
# The compilers that it calls are the cross compilers.
set -eu

sysroot=$("$(dirname "$0")/sysroot.sh")
compilers=$(mktemp -d)
trap 'rm -rf "$compilers"' EXIT
compiler() { # NAME COMMAND
	printf '#!/bin/sh\nexec %s --sysroot=%s "$@"\n' "$2" "$sysroot" >"$compilers/$1"
	chmod +x "$compilers/$1"
}
compiler gcc aarch64-linux-gnu-gcc
compiler clang "$(command -v clang) --target=aarch64-linux-gnu"
# /bin/sh is this machine's, which the emulator would look for in the sysroot.
PATH=$compilers:$PATH qemu-aarch64 "$sysroot/lib/ld-linux-aarch64.so.1" \
	--library-path "$sysroot/lib/aarch64-linux-gnu:$sysroot/usr/lib/aarch64-linux-gnu" "$@"
