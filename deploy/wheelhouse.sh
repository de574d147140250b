#!/bin/sh
# Fills deploy/wheelhouse with the pinned wheels of both images, for a build without a network (or behind a proxy
# that the build cannot pass). PYTHON must be of the minor version of the images' Python (3.11 by default).
#
#   deploy/wheelhouse.sh             for both
#   deploy/wheelhouse.sh simulator   for one of them
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$here/../.venv/bin/python}
[ -x "$python" ] || python=python3
[ $# -gt 0 ] || set -- gateway simulator
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for image in "$@" build; do "$python" "$here/image_requirements.py" "$image"; done | sort -u >"$work/list"
# Asked for by redis on a Python older than 3.11.3 (Debian 12's), which need not be the one that runs this.
case "$*" in *gateway*) echo async-timeout >>"$work/list" ;; esac
# Up to date: everything wanted was fetched before, under the same pins.
pins="# pins $(cksum <"$here/../constraints.txt")"
stamp=$here/wheelhouse/.made-of
if grep -qxF "$pins" "$stamp" 2>/dev/null && ! grep -vxFqf "$stamp" "$work/list"; then
    echo "deploy/wheelhouse is up to date."
    exit 0
fi
rm -f "$here"/wheelhouse/*.whl "$stamp"
"$python" -m pip download -qq --only-binary :all: -d "$here/wheelhouse" -c "$here/../constraints.txt" -r "$work/list"
{ echo "$pins"; cat "$work/list"; } >"$stamp"
echo "deploy/wheelhouse holds $(find "$here/wheelhouse" -name '*.whl' | wc -l) wheels."
