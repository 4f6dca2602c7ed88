#!/usr/bin/env bash
# Set up the project and pass its checks: formatting, lint, types, tests.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh all,dev
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/python -m pytest "$@"
