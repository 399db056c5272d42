#!/bin/sh
# Makes a Debian 12 root with systemd and the libraries of gradwatch, once, and prints where it is.
# GRADWATCH_CACHE: where (default: $XDG_CACHE_HOME/gradwatch or ~/.cache/gradwatch).
set -eu

cache=${GRADWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gradwatch}
root=$cache/fleet-root
libraries=libbpf1,libelf1,libcapstone4,libjansson4,libxxhash0,libcap-ng0,libzstd1,zlib1g,libmicrohttpd12,libsystemd0,libsimdjson14

mkdir -p "$cache"
exec 9>"$root.lock"
flock 9
if [ ! -d "$root" ]; then
	rm -rf "$root.part"
	mmdebstrap --quiet --variant=minbase --include="systemd,systemd-sysv,dbus,$libraries" \
		bookworm "$root.part" >&2
	mv "$root.part" "$root"
fi
echo "$root"
