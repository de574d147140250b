#!/bin/sh
# Fills deploy/wheelhouse with the pinned wheels of both images, for a build without a network (or behind a proxy
# that the build cannot pass). PYTHON must be of the minor version of the images' Python (3.11 by default).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$here/../.venv/bin/python}
[ -x "$python" ] || python=python3
list=$(mktemp)
trap 'rm -f "$list"' EXIT
for image in gateway simulator build; do "$python" "$here/image_requirements.py" $image; done | sort -u >"$list"
# Asked for by redis on a Python older than 3.11.3 (Debian 12's), which need not be the one that runs this.
echo async-timeout >>"$list"
stamp=$here/wheelhouse/.made-of
if cmp -s "$list" "$stamp"; then
    echo "deploy/wheelhouse is up to date."
    exit 0
fi
rm -f "$here"/wheelhouse/*.whl
"$python" -m pip download -qq --only-binary :all: -d "$here/wheelhouse" -c "$here/../constraints.txt" -r "$list"
cp "$list" "$stamp"
echo "deploy/wheelhouse holds $(ls "$here"/wheelhouse/*.whl | wc -l) wheels."
