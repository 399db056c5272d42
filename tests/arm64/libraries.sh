#!/bin/sh
# Fetches libc10.so of real arm64 PyTorch builds into the cache, once: the upstream wheels' and
# Debian's. Prints a line NAME<TAB>PATH for each. PYTHON: one that has pip.
set -eu

python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)
cache=${GRADWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gradwatch}/arm64-libraries

retry() {
	for pause in 5 20 60 0; do
		"$@" && return 0
		[ "$pause" = 0 ] && return 1
		sleep "$pause"
	done
}

wheel() { # VERSION DIR
	retry "$python" -m pip download -qq --no-deps --only-binary=:all: --python-version 3.11 \
		--platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 \
		--dest "$2" "torch==$1"
	"$python" -m zipfile -e "$2"/torch-*.whl "$2/tree"
}

debian() { # SUITE DIR
	suite=$1
	dir=$2
	suite_apt() { "$here/../targets/suite_apt.sh" "$dir/apt" "$suite" arm64 "$@"; }
	suite_apt apt-get -qq update
	# "libtorch2.6": what python3-torch needs.
	package=$(suite_apt apt-cache show python3-torch | sed -n 's/^Depends: //p' | head -n 1 |
		tr -s ', ' '\n' | grep '^libtorch[0-9.]*$' | head -n 1)
	(cd "$dir" && suite_apt apt-get -qq download "$package")
	dpkg-deb -x "$dir/$package"_*.deb "$dir/tree"
}

library() { # NAME HOW WHAT
	file=$cache/$1/libc10.so
	if [ ! -e "$file" ]; then
		work=$(mktemp -d)
		"$2" "$3" "$work"
		mkdir -p "$cache/$1"
		find "$work/tree" -type f -name 'libc10.so*' -exec cp {} "$file.new" \;
		mv "$file.new" "$file"
		rm -rf "$work"
	fi
	printf '%s\t%s\n' "$1" "$file"
}

library wheel-2.1.2 wheel 2.1.2
library wheel-2.5.1 wheel 2.5.1
library wheel-2.13.0 wheel 2.13.0
library debian-bookworm debian bookworm
library debian-trixie debian trixie
library debian-sid debian sid
