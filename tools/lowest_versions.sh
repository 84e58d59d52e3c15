#!/bin/sh
# Run the fast tests with the lowest versions that pyproject.toml allows: tools/lowest_versions.sh
#
# It makes a virtual environment of its own (5 GB, named below) and leaves it there to look at.
# Dependencies of dependencies are the newest that fit, as somebody would get them who installs qhc
# beside an older package. Arguments go to pytest.
set -eu

cd "$(dirname "$0")/.."
venv=${LOWEST_VENV:-/tmp/qhc-lowest}

"${PYTHON:-python3}" -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --resolution lowest-direct \
  --editable '.[test]'
"$venv/bin/uv" pip freeze --python "$venv/bin/python"
"$venv/bin/python" -m pytest -m 'not slow' -n logical --dist worksteal "$@"
