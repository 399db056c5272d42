#!/bin/sh
# Boots a guest and runs a script of tests/kernels in it.
#
#   tests/kernels/boot.sh KERNEL DISKS SCRIPT RESULTS
#
# KERNEL and DISKS are what fetch.sh and image.sh made. The guest's console goes to RESULTS/console;
# what it writes to /dev/ttyS1 goes to RESULTS/results.
set -eu

kernel=$1
disks=$2
script=$3
results=$4
limit=${GRADWATCH_GUEST_SECONDS:-800}

mkdir -p "$results"
timeout "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 4G \
	-display none -no-reboot -nic none -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd.gz" \
	-append "console=ttyS0 quiet panic=-1 mitigations=off guest=$script" \
	-serial "file:$results/console" -serial "file:$results/results" \
	-drive "file=$disks/base,format=raw,if=virtio,readonly=on" \
	-drive "file=$disks/own,format=raw,if=virtio,readonly=on" </dev/null
