#!/bin/sh
# Runs gradwatch on another kernel than this machine's, in QEMU without KVM: a kernel package of Debian's
# and a real PyTorch (tests/targets) in an image that is made here and kept in the cache.
#
#   tests/kernels/run.sh BINARY
#
# So far one kernel, sid's newest, and what only newer kernels can: registers that BPF writes. Ends
# with "N passed, N failed". A kernel that cannot be had or booted is a failure.
set -eu

binary=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${GRADWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gradwatch}/kernels
suite=sid
work=$cache/$suite
limit=600 # seconds for a guest: 120 here

say() { printf 'kernels: %s\n' "$*" >&2; }

mirror() {
	[ -n "${GRADWATCH_DEBIAN_MIRROR:-}" ] && echo "$GRADWATCH_DEBIAN_MIRROR" && return
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 == "Debian" { print $2; exit }'
}

# apt with lists of its own, for a suite that this machine does not use.
apt_of_suite() { # COMMAND ARGS...
	command=$1
	shift
	"$command" -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" \
		-o APT::Sandbox::User=root -o Acquire::Retries=5 "$@"
}

depends_on() { # PACKAGE PATTERN: what it needs whose name fits
	apt_of_suite apt-cache show "$1" | sed -n 's/^Depends: //p' | head -n 1 | tr -s ', ' '\n' |
		grep "^$2" | sort -u
}

fetch_kernel() {
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	echo "deb [trusted=yes] $(mirror) $suite main" >"$work/sources.list"
	apt_of_suite apt-get -qq update
	image=$(depends_on linux-image-cloud-amd64 'linux-image-[0-9]')
	[ -e "$work/$image.complete" ] && return
	say "fetching $image"
	rm -rf "$work/tree" && mkdir -p "$work/tree"
	for package in $image $(depends_on "$image" 'linux-\(binary\|modules\)-'); do
		(cd "$work" && apt_of_suite apt-get -qq download "$package")
		dpkg-deb -x "$work/$package"_*.deb "$work/tree"
		rm "$work/$package"_*.deb
	done
	touch "$work/$image.complete"
}

# The modules that a disk and the image need; those that are built in are not there.
make_initrd() {
	staged=$(mktemp -d)
	mkdir -p "$staged/bin" "$staged/modules"
	for name in virtio_blk squashfs; do
		find "$work/tree" -name "$name.ko*" -exec cp {} "$staged/modules" \;
	done
	find "$staged/modules" -name '*.xz' -exec xz -d {} +
	cp /bin/busybox "$staged/bin"
	cp "$here/init" "$staged/init"
	chmod +x "$staged/init"
	(cd "$staged" && find . | cpio -o -H newc 2>/dev/null) | gzip -1 >"$work/initrd.gz"
	rm -rf "$staged"
}

# The root of a target, and in /gradwatch what is tested with the libraries that it needs.
make_image() {
	target=$("$root/tests/targets/make.sh" debian-2.14.1 | cut -f 2)
	staged=$(mktemp -d)
	mkdir -p "$staged/gradwatch/lib"
	cp "$binary" /bin/busybox "$staged/gradwatch"
	cp -r "$root/tests/programs" "$staged/gradwatch"
	ldd "$binary" | awk '$3 ~ /lib(bpf|elf|capstone|json-c|z|zstd)\.so/ { print $3 }' |
		xargs -I{} cp -L {} "$staged/gradwatch/lib"
	rm -f "$work/image"
	mksquashfs "$target"/* "$staged/gradwatch" "$work/image" -no-duplicates -noI -noD -noF \
		-noX -no-xattrs -quiet -no-progress -wildcards -e 'proc/*' 'sys/*' 'dev/*' >/dev/null
	rm -rf "$staged"
}

boot() { # SCRIPT
	cp "$1" "$work/script"
	truncate -s 65536 "$work/script"
	timeout "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 4G \
		-nographic -no-reboot -nic none -kernel "$(find "$work/tree" -name 'vmlinuz*' | head -n 1)" \
		-initrd "$work/initrd.gz" -append "console=ttyS0 quiet panic=-1 mitigations=off" \
		-drive "file=$work/image,format=raw,if=virtio,readonly=on" \
		-drive "file=$work/script,format=raw,if=virtio,readonly=on" </dev/null 2>&1 |
		tr -d '\r' | tee "$work/console"
}

passed=0
failed=0
expect() { # LINE
	if grep -qF "$1" "$work/console"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		say "missing: $1"
	fi
}

"$root/tools/deps.sh" build test kernels
fetch_kernel
make_initrd
make_image
boot "$here/raise.guest.sh" | grep '^guest:\|^result:\|^raising'
expect 'raising       ok      by BPF, which writes registers'
expect 'result: forms: status=0 by_bpf=13 by_ptrace=0 performed=13 raised=13'
expect 'result: many 1000: status=0 by_bpf=1000 by_ptrace=0 performed=1000 raised=1000 unchanged=1000'
expect 'result: threads 50: status=0 by_bpf=400 by_ptrace=0 performed=400 raised=400 unchanged=400'
expect 'guest: status 0'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
