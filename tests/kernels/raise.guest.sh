#!/bin/sh
# Runs in the guest: lets violations raise on real torch, and tells by which way.
PATH=/gradwatch:/usr/bin:/bin
export PATH LD_LIBRARY_PATH=/gradwatch/lib OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
box=/gradwatch/busybox
count() { $box grep -o "$1" "$2" | $box wc -l; }

cd /gradwatch/programs || exit 1
gradwatch doctor | $box grep '^raising' || exit 1
for scene in "forms" "many 1000" "threads 50"; do
	# shellcheck disable=SC2086 # a scene and its number
	echo go | gradwatch --json --rate 0 --on-violation raise --enforce-kinds make_fx -- \
		env -u LD_LIBRARY_PATH python3 enforced.py $scene >/tmp/out 2>/tmp/err
	echo "result: $scene: status=$? by_bpf=$(count '"by_bpf":true' /tmp/out)" \
		"by_ptrace=$(count '"by_bpf":false' /tmp/out)" \
		"performed=$(count '"outcome":"performed"' /tmp/out)" \
		"raised=$(count '"error": "RuntimeError"' /tmp/out)" \
		"unchanged=$(count '"before": true, "after": true' /tmp/out)"
	$box tail -n 4 /tmp/err
done
