#!/bin/sh
# Prints the Debian mirror that tests fetch from: GRADWATCH_DEBIAN_MIRROR, or the one that apt uses.
set -eu

if [ -n "${GRADWATCH_DEBIAN_MIRROR:-}" ]; then
	echo "$GRADWATCH_DEBIAN_MIRROR"
	exit 0
fi
# shellcheck disable=SC2016 # apt's variables
apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
	awk '$1 == "Debian" { print $2; found = 1; exit } END { exit !found }' || {
	echo "mirror: apt knows no Debian mirror: set GRADWATCH_DEBIAN_MIRROR" >&2
	exit 1
}
