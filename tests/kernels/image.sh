#!/bin/sh
# Makes the disks of a guest:
#
#   tests/kernels/image.sh base FILE ROOT      the guest's root, with empty folders to mount on
#   tests/kernels/image.sh own FILE BUILD BUSYBOX VENV
#                                              gradwatch, its libraries, the tests; mounted on /gradwatch
#
# The first is made once for a state of its root, which a file .complete stands for. Nothing is
# compressed: the guest is slow.
set -eu

what=$1
file=$2
root=$(cd "$(dirname "$0")/../.." && pwd)

say() { printf 'kernels: %s\n' "$*" >&2; }

squash() { # FILE SOURCE...
	output=$1
	shift
	rm -f "$output.new"
	mksquashfs "$@" "$output.new" -no-duplicates -noI -noD -noF -noX -no-xattrs -quiet \
		-no-progress -wildcards -e 'proc/*' 'sys/*' 'dev/*' 'usr/share/doc/*' >/dev/null
	mv "$output.new" "$output"
}

make_base() { # ROOT
	stamp="$(stat -c %Y "$1/.complete") $(cksum <"$0")"
	[ -e "$file" ] && [ "$(cat "$file.stamp" 2>/dev/null)" = "$stamp" ] && return
	say "making a guest's root of $(basename "$1")"
	staged=$(mktemp -d)
	for folder in gradwatch proc sys dev tmp mnt root; do
		[ -d "$1/$folder" ] && [ $folder != gradwatch ] || mkdir "$staged/$folder"
	done
	squash "$file" "$1"/* "$staged"/*
	rm -rf "$staged"
	echo "$stamp" >"$file.stamp"
}

# gradwatch needs its libraries as they are here, where the guest's Debian is another one.
copy_gradwatch() { # BUILD DIR
	mkdir -p "$2/lib"
	cp "$1/gradwatch" "$1/verify" "$2"
	ldd "$1/gradwatch" >/dev/null 2>&1 || return 0 # of another processor: its root has them
	ldd "$1/gradwatch" | awk '$3 ~ /^\// && $3 !~ /\/lib(c|m)\.so/ { print $3 }' |
		xargs -I{} cp -L {} "$2/lib"
	patchelf --force-rpath --set-rpath /gradwatch/lib "$2/gradwatch" "$2/verify"
}

make_own() { # BUILD BUSYBOX VENV
	staged=$(mktemp -d)
	copy_gradwatch "$1" "$staged"
	mkdir "$staged/tests" "$staged/packages"
	cp -r "$root/tests/e2e" "$root/tests/programs" "$root/tests/standin" "$root/tests/kernels" \
		"$staged/tests"
	cp -r "$1/standin" "$staged/standin"
	for package in pytest _pytest pluggy iniconfig packaging pygments py.py; do
		cp -r "$3"/lib/python3*/site-packages/"$package" "$staged/packages"
	done
	cp "$2" "$staged/busybox"
	squash "$file" "$staged"/*
	rm -rf "$staged"
}

case $what in
base) make_base "$3" ;;
own) make_own "$3" "$4" "$5" ;;
*) echo "image: unknown disk '$what'" >&2; exit 2 ;;
esac
