#!/bin/sh
# Runs unit test programs (cmocka) and adds up: tests/unit/run.sh PROGRAM...
# Last line: "N passed, N failed"; fails when a test fails or a program ran none.
# EMULATOR  what runs programs that are for another processor
set -u

passed=0
failed=0
for program in "$@"; do
	output=$(CMOCKA_MESSAGE_OUTPUT=stdout ${EMULATOR:-} "$program" 2>&1)
	status=$?
	ok=$(printf '%s\n' "$output" | grep -c '^\[       OK \]')
	bad=$(printf '%s\n' "$output" | grep -c '^\[  FAILED  \] [a-z_0-9]*$')
	if [ $status -ne 0 ] || [ "$ok" -eq 0 ]; then
		printf '%s\n%s: exit status %s\n' "$output" "$program" "$status"
		[ "$bad" -gt 0 ] || bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
