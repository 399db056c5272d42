#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Writes the bpftrace script that does gradwatch's main job for one process:
#   tools/bpftrace/make.sh PID > gradwatch.bt && bpftrace gradwatch.bt
# It reads the same thread-local state and makes the same comparison, with numbers that hold for
# the very libtorch file of that process only; gradwatch finds them at run time. What it lacks:
# subclasses of ProxyTorchDispatchMode, trace sessions, new processes, and any care for lost events.
#
# GRADWATCH_PLAN  the plan printer (default: build/bench/plan, made by `make -f tests/bench/Makefile`)
set -eu

here=$(dirname "$0")
plan=${GRADWATCH_PLAN:-$here/../../build/bench/plan}
die() { echo "make.sh: $*" >&2; exit 1; }
[ $# -eq 1 ] || { echo "usage: $0 PID" >&2; exit 2; }
[ -x "$plan" ] || die "no plan printer '$plan': make -f tests/bench/Makefile, or set GRADWATCH_PLAN"

# The mapped file itself, whatever root or mount namespace the process has.
range=$(awk '$6 ~ /\/libc10\.so[^\/]*$/ { print $1; exit }' "/proc/$1/maps") || die "no process $1"
[ -n "$range" ] || die "process $1 has no libc10 mapped"
file=/proc/$1/map_files/$range
values=$("$plan" "$file") || die "no plan for libc10 of process $1"

get() {
	printf '%s\n' "$values" | sed -n "s/^$1=//p"
}
[ "$(get certain)" = 1 ] || die "the thread-local state of this libtorch cannot be read"
api=$(get mode_api)

# The condition under which a variable is initialised; one without a guard always is.
guard() { # NAME
	value=$(get "$1")
	if [ "$value" = - ]; then echo 1; else echo "*(uint8 *)uptr(\$block + $value)"; fi
}

# Lines between "//: NAME" and "//: end" are kept for builds of that kind only.
awk -v api="$api" '
	/^[ \t]*\/\/: end/ { skip = 0; next }
	/^[ \t]*\/\/: / { skip = $2 != api; next }
	!skip' "$here/gradwatch.bt.in" |
	sed -e "s|@PID@|$1|g" -e "s|@FILE@|$file|g" \
		-e "s|@SYMBOL@|$(get set_enabled_symbol)|g" -e "s|@FUNCTION@|$(get set_enabled_function)|g" \
		-e "s|@TLS_PAIR@|$(get tls_pair)|g" \
		-e "s|@GRAD@|$(get tls_grad)|g" -e "s|@GRAD_MASK@|$(get grad_mask)|g" \
		-e "s|@GRAD_DEFAULT@|$(get grad_default)|g" -e "s|@GRAD_GUARD@|$(guard tls_grad_guard)|g" \
		-e "s|@MODE_GUARD@|$(guard tls_mode_guard)|g" \
		-e "s|@PROXY_FLAG@|$(get tls_proxy_flag)|g" -e "s|@PROXY_SLOT@|$(get tls_proxy_slot)|g" \
		-e "s|@STACK@|$(get tls_stack)|g"
