#!/bin/sh
# Fetches the newest cloud kernel of a Debian suite and makes an initrd that goes with it.
#
#   tests/kernels/fetch.sh DIR SUITE ARCH BUSYBOX     (ARCH: Debian's name, BUSYBOX: for that)
#
# leaves DIR/vmlinuz and DIR/initrd.gz. What is there is kept if it is still the newest.
set -eu

work=$1
suite=$2
arch=$3
busybox=$4
here=$(cd "$(dirname "$0")" && pwd)

say() { printf 'kernels: %s\n' "$*" >&2; }

apt_of_suite() { # COMMAND ARGS...
	"$here/../targets/suite_apt.sh" "$work" "$suite" "$arch" "$@"
}

depends_on() { # PACKAGE PATTERN: what it needs whose name fits
	apt_of_suite apt-cache show "$1" | sed -n 's/^Depends: //p' | head -n 1 | tr -s ', ' '\n' |
		grep "^$2" | sort -u
}

# A package of a kernel holds all of it, or (sid) needs others that do.
unpack_kernel() { # PACKAGE
	say "fetching $1"
	rm -rf "$work/tree" && mkdir -p "$work/tree"
	for package in "$1" $(depends_on "$1" 'linux-\(binary\|modules\)-'); do
		(cd "$work" && apt_of_suite apt-get -qq download "$package")
		dpkg-deb -x "$work/$package"_*.deb "$work/tree"
		rm "$work/$package"_*.deb
	done
}

# The modules that a disk and the image need; those that are built in are not there.
make_initrd() {
	staged=$(mktemp -d)
	mkdir -p "$staged/bin" "$staged/modules"
	for name in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk squashfs; do
		find "$work/tree" -name "$name.ko*" -exec cp {} "$staged/modules" \;
	done
	find "$staged/modules" -name '*.xz' -exec xz -d {} +
	cp "$busybox" "$staged/bin/busybox"
	cp "$here/init" "$staged/init"
	chmod +x "$staged/init"
	(cd "$staged" && find . | cpio -o -H newc 2>/dev/null) | gzip -1 >"$work/initrd.gz"
	rm -rf "$staged"
}

mkdir -p "$work"
apt_of_suite apt-get -qq update
image=$(depends_on "linux-image-cloud-$arch" 'linux-image-[0-9]')
if [ "$(cat "$work/.complete" 2>/dev/null)" != "$image" ]; then
	unpack_kernel "$image"
	find "$work/tree" -name 'vmlinuz*' -exec cp {} "$work/vmlinuz" \;
	echo "$image" >"$work/.complete"
fi
make_initrd
