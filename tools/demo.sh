#!/bin/sh
# A real model, traced while its code flips grad mode, under gradwatch: tools/demo.sh [PYTHON]
# Takes PYTHON if it has torch, else makes an environment with the upstream wheel.
set -eu

gradwatch=${GRADWATCH:-build/gradwatch}
here=$(dirname "$0")
python=${1:-}

if [ -n "$python" ]; then
	"$python" -c 'import torch' || { echo "demo: $python has no torch" >&2; exit 1; }
else
	"$here/deps.sh" python
	echo "demo: making an environment with PyTorch (once; about a minute)" >&2
	python=$("$here/../tests/targets/make.sh" wheel-2.13.0 | cut -f2)/bin/python
fi
echo "demo: $gradwatch -- $python tools/demo_export.py" >&2
"$gradwatch" -- "$python" "$here/demo_export.py"
