#!/bin/sh
# A real model, traced while its code flips grad mode, under gradwatch: tools/demo.sh [PYTHON]
#
# Takes PYTHON if it has torch. Else the first that is there of: the environment that the tests use,
# python3 of this machine if it has torch. Else it makes that environment, which is a large download.
set -eu

gradwatch=${GRADWATCH:-build/gradwatch}
here=$(dirname "$0")
make="$here/../tests/targets/make.sh"
python=${1:-}

say() { printf 'demo: %s\n' "$*" >&2; }
has_torch() { "$1" -c 'from torch.fx.experimental.proxy_tensor import make_fx' 2>/dev/null; }

if [ -n "$python" ]; then
	has_torch "$python" || { say "$python has no torch (1.13 or later)"; exit 1; }
else
	made=$("$make" --folder wheel-2.13.0)
	if [ -e "$made/.complete" ]; then
		python=$made/bin/python
	elif has_torch python3; then
		python=python3
	else
		"$here/deps.sh" python
		say "downloading PyTorch 2.13.0 and what it needs into $made, once:"
		say "  0.2 GB (0.8 GB on disk) where pip finds the CPU build,"
		say "  some 3 GB (5 GB on disk) where it finds only the one for CUDA."
		say "PIP_EXTRA_INDEX_URL can name an index with CPU builds. To use another PyTorch: PYTHON=, or"
		say "apt-get install python3-torch (Debian's 1.13, CPU only); make demo takes it then."
		python=$("$make" wheel-2.13.0 | cut -f2)/bin/python
	fi
fi
say "$gradwatch -- $python tools/demo_export.py"
"$gradwatch" -- "$python" "$here/demo_export.py"
