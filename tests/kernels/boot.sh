#!/bin/sh
# Boots a guest and runs a script of tests/kernels in it.
#
#   tests/kernels/boot.sh KERNEL DISKS SCRIPT RESULTS ARCH
#
# KERNEL and DISKS are what fetch.sh and image.sh made. The guest's console goes to RESULTS/console;
# what it writes to its third disk goes to RESULTS/results. preempt=full is the hardest for programs.
set -eu

kernel=$1
disks=$2
script=$3
results=$4
arch=$5
limit=${GRADWATCH_GUEST_SECONDS:-1600}
room=8M # for results

case $arch in
amd64) qemu=qemu-system-x86_64 tty=ttyS0 ;;
arm64) qemu="qemu-system-aarch64 -M virt" tty=ttyAMA0 ;;
esac
mkdir -p "$results"
truncate -s 0 "$results/disk"
truncate -s $room "$results/disk"

start() {
	# shellcheck disable=SC2086 # a command and its arguments
	timeout "$limit" $qemu -accel tcg,thread=multi -cpu max -smp 2 -m 4G \
		-display none -no-reboot -nic none -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd.gz" \
		-append "console=$tty quiet panic=-1 mitigations=off preempt=full guest=$script" \
		-serial "file:$results/console" \
		-drive "file=$disks/base,format=raw,if=virtio,readonly=on" \
		-drive "file=$disks/own,format=raw,if=virtio,readonly=on" \
		-drive "file=$results/disk,format=raw,if=virtio" </dev/null
}

status=0
start || status=$?
# Emulated processors fault at times before there is a user space: nothing of ours has run then.
if ! grep -q '^guest: booted' "$results/console"; then
	echo "kernels: $kernel did not boot, once more" >&2
	status=0
	start || status=$?
fi
tr -d '\000' <"$results/disk" >"$results/results"
rm "$results/disk"
exit $status
