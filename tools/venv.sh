#!/bin/sh
# Makes a virtual environment with a requirements file: tools/venv.sh DIR REQUIREMENTS
set -eu

dir=$1
requirements=$2
for python in python3.11 python3; do
	"$python" -c 'import ensurepip, venv' 2>/dev/null && break
	python=
done
[ -n "$python" ] || { echo "venv: no python with venv: apt-get install python3-venv" >&2; exit 1; }
rm -rf "$dir"
"$python" -m venv "$dir"
for pause in 5 20 60 0; do
	"$dir/bin/python" -m pip install -qq --disable-pip-version-check -r "$requirements" && exit 0
	[ "$pause" = 0 ] && break
	echo "venv: pip failed, again in $pause s" >&2
	sleep "$pause"
done
exit 1
