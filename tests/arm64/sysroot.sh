#!/bin/sh
# Makes a folder with what an arm64 Debian 12 has of libraries, headers and programs: what gradwatch
# is cross-built against, what runs under user-mode emulation, and the guest's root. Kept in the
# cache, made again when the list below changes. Prints its path.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${GRADWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gradwatch}
dir=$cache/arm64-sysroot
packages=libc6-dev,libstdc++-12-dev,libbpf-dev,libelf-dev,libcapstone-dev,libjansson-dev,libxxhash-dev,libcap-ng-dev,uthash-dev,libcmocka-dev,libzstd-dev,zlib1g-dev,libsimdjson-dev,libmicrohttpd-dev,libsystemd-dev
packages=$packages,python3,dash,coreutils,util-linux,mount,busybox-static,strace,sed,grep

mkdir -p "$cache"
exec 9>"$dir.lock"
flock 9
if [ "$(cat "$dir/.complete" 2>/dev/null)" != "$packages" ]; then
	echo "arm64: making a sysroot" >&2
	mirror=$("$here/../targets/mirror.sh")
	for pause in 5 20 60 0; do
		rm -rf "$dir"
		# Unpacked only: nothing of another machine is run here.
		mmdebstrap --quiet --variant=extract --architectures=arm64 --include="$packages" \
			bookworm "$dir" "$mirror" 2>"$dir.log" && break
		[ "$pause" = 0 ] && { cat "$dir.log" >&2; exit 1; }
		sleep "$pause"
	done
	ln -sf dash "$dir/bin/sh"
	echo "$packages" >"$dir/.complete"
fi
echo "$dir"
