#!/bin/sh
# apt for a Debian suite and an architecture that this machine does not use, with lists of its own:
#
#   tests/targets/suite_apt.sh DIR SUITE ARCH apt-get|apt-cache ARGS...
#
# The lists are in DIR; `apt-get update` is the caller's. Downloads go to the current folder.
set -eu

dir=$1
suite=$2
arch=$3
command=$4
shift 4
mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
echo "deb [trusted=yes] $("$(dirname "$0")/mirror.sh") $suite main" >"$dir/sources.list"
exec "$command" -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
	-o Dir::State::lists="$dir/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$dir/cache" \
	-o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root \
	-o Acquire::Retries=5 "$@"
