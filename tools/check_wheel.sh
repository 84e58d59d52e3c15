#!/usr/bin/env bash
# Build the sdist and from it the wheel, and use the wheel alone: tools/check_wheel.sh [PYTHON]
#
# PYTHON's environment has the dependencies, and `build`. The wheel is unpacked into a folder of its
# own, which comes before whatever qhc the environment has itself.
set -euo pipefail

python=$(realpath --no-symlinks "${1:-.venv/bin/python}")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$python" -m build --outdir "$scratch" . >"$scratch/log" || { cat "$scratch/log"; exit 1; }
"$python" - "$scratch" <<'END'
"""Everything that the packages' folders have under version control is in both."""
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
(wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
in_wheel = set(zipfile.ZipFile(wheel).namelist())
in_sdist = {name.partition("/")[2] for name in tarfile.open(sdist).getnames()}
listed = subprocess.run(
    ["git", "ls-files", "qbackend", "models", "experiments", "qhc"],
    capture_output=True, text=True, check=True,
).stdout.split()
missing = sorted({*listed, "qbackend/commit.txt"} - (in_wheel & in_sdist))
sys.exit(f"not in the wheel or not in the sdist: {missing}" if missing or not listed else 0)
END

"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$scratch/alone" \
  "$scratch"/*.whl
commit=$(git rev-parse --short=12 HEAD)
export PYTHONPATH="$scratch/alone"
mkdir "$scratch/work"
cd "$scratch/work"
"$python" -c 'import experiments, sys; sys.exit(not experiments.__file__.startswith(sys.argv[1]))' \
  "$scratch/alone"
"$scratch/alone/bin/qhc" --version | tee /dev/stderr | grep -q "(commit $commit)"
"$python" -m experiments run --epochs 1 --json
grep -q "$commit" runs/*/config.toml
ls runs/*/report.html
