#!/usr/bin/env bash
# Make .venv with the project and the versions of constraints.txt.
# Usage: scripts/setup.sh [EXTRAS]    default: what `nas search` needs; `all` adds training, data sets, Ray, Optuna, NNI
# PYTHON=/path/to/python chooses the Python (3.11 or later); by default the first found of 3.11, 3.12, 3.13.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1:-litert,report}

recent() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

if [ ! -x .venv/bin/python ]; then
    chosen=""
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if command -v "$candidate" >/dev/null && recent "$candidate"; then chosen=$candidate; break; fi
    done
    [ -n "$chosen" ] || { echo "no Python 3.11, 3.12 or 3.13 found: install one, or set PYTHON to its path" >&2; exit 2; }
    "$chosen" -m venv .venv
fi
pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt)
# torch first and alone: asked for together with others, the resolver may settle on a build with CUDA.
"${pip[@]}" torch
"${pip[@]}" --editable ".[$extras]"
