#!/bin/sh
# Installs the Debian packages that a step needs, and only those that are missing.
#   tools/deps.sh build|python|test|lint|pages|bench|fuzz|kernels|fleet|questions...
set -eu

packages() {
	case $1 in
	build) echo clang llvm gcc make pkg-config libbpf-dev libelf-dev libcapstone-dev libjansson-dev libxxhash-dev libcap-ng-dev uthash-dev libzstd-dev zlib1g-dev libsimdjson-dev libmicrohttpd-dev libsystemd-dev g++ bpftool linux-libc-dev ;;
	python) echo python3 python3-venv util-linux ;;
	test) echo libcmocka-dev runc python3 python3-venv debootstrap util-linux binutils g++ strace sudo zstd musl-tools gcc-aarch64-linux-gnu ;;
	lint) echo clang-format clang-tidy clang-tools cppcheck shellcheck ;;
	questions) echo python3 python3-venv zstd ;;
	spark) echo openjdk-17-jre-headless util-linux procps ;;
	pages) echo python3-venv chromium chromium-driver fonts-dejavu-core ;;
	bench) echo bpftrace jq ;;
	fuzz) echo libclang-rt-14-dev ;;
	arm64) echo gcc-aarch64-linux-gnu g++-aarch64-linux-gnu mmdebstrap qemu-user ;;
	fleet) echo systemd systemd-container mmdebstrap libcap2-bin util-linux bubblewrap python3-seccomp prometheus prometheus-alertmanager rsyslog podman runc golang-github-containers-common ;;
	kernels) echo qemu-system-x86 qemu-system-arm busybox-static squashfs-tools cpio xz-utils patchelf ;;
	*) echo "deps: unknown group '$1'" >&2; exit 2 ;;
	esac
}

missing=
for group in "$@"; do
	for package in $(packages "$group"); do
		dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
			missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: missing:$missing. As root: apt-get install$missing" >&2
	exit 1
fi
echo "deps: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
for pause in 5 20 60 0; do
	# shellcheck disable=SC2086 # a list of names
	if apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
		exit 0
	fi
	[ "$pause" = 0 ] && break
	echo "deps: apt-get failed, again in $pause s" >&2
	sleep "$pause"
done
echo "deps: could not install$missing" >&2
exit 1
