#!/bin/sh
# Formatter, analyzers and linters over the given C files, the Python and the shell scripts.
# Everything must be quiet. BUILD: where the skeletons and the virtual environment are.
set -u

build=${BUILD:-build}
status=0
run() { # NAME COMMAND...: a linter that says anything or fails has failed
	name=$1
	shift
	output=$("$@" 2>&1)
	code=$?
	if [ $code -ne 0 ] || [ -n "$output" ]; then
		printf '%s\nlint: %s failed (%s)\n' "$output" "$name" "$code"
		status=1
	else
		printf 'lint: %s ok\n' "$name"
	fi
}

[ $# -gt 0 ] || { echo "lint: no C files were given" >&2; exit 2; }
tools/deps.sh build lint test || exit 1
flags="-std=gnu11 -D_GNU_SOURCE -Iinclude -Iuser -I$build"
user=$(printf '%s\n' "$@" | grep '^user/.*\.c$')
analyze() {
	for file in $user; do
		# The skeletons that bpftool 7.1 generates lose a few bytes when memory is short.
		generated=
		grep -q '\.skel\.h' "$file" &&
			generated="-Xclang -analyzer-disable-checker -Xclang unix.Malloc"
		# shellcheck disable=SC2086 # lists
		clang --analyze --analyzer-output text -Xclang -analyzer-werror $generated \
			-Wall -Wextra -Werror $flags "$file" -o /dev/null || return 1
	done
}

run clang-format clang-format --dry-run -Werror "$@"
run "clang analyzer" analyze
# shellcheck disable=SC2086
run cppcheck cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance \
	--std=c11 --inline-suppr --suppress=missingIncludeSystem -D_GNU_SOURCE \
	-Iinclude -Iuser $user
run ruff "$build/venv/bin/ruff" check -q tests tools
run "ruff format" "$build/venv/bin/ruff" format -q --check tests tools
run shellcheck shellcheck --severity=warning tools/*.sh tools/*/*.sh tests/*/*.sh .ci/run
run "coverage table" tools/coverage.sh --check
exit $status
