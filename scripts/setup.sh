#!/usr/bin/env bash
# Make .venv with the project and the versions of constraints.txt. Usage: scripts/setup.sh [EXTRAS], e.g. all,dev
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || "${PYTHON:-python3.11}" -m venv .venv
pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt)
# torch first and alone: asked for together with others, the resolver may settle on a build with CUDA.
"${pip[@]}" torch
"${pip[@]}" --editable ".[${1:-all}]"
