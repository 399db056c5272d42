#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Writes user/cli/coverage.tsv into the README, between its marks; --check only compares.
set -eu
cd "$(dirname "$0")/.."

made=$(mktemp)
trap 'rm -f "$made"' EXIT

table() {
	awk -F '\t' '{
		line = "|"
		rule = "|"
		for (i = 2; i <= NF; i++) {
			line = line " " $i " |"
			rule = rule "---|"
		}
		print line
		if (NR == 1)
			print rule
	}' user/cli/coverage.tsv
}

{
	sed '/<!-- coverage: begin/q' README.md
	table
	sed -n '/<!-- coverage: end/,$p' README.md
} >"$made"

if [ "${1:-}" = --check ]; then
	diff -u README.md "$made" || {
		echo "README.md has another coverage table than user/cli/coverage.tsv: run tools/coverage.sh" >&2
		exit 1
	}
else
	cat "$made" >README.md
fi
