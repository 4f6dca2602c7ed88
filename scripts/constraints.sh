#!/usr/bin/env bash
# Write constraints.txt from what is installed in the environment given (default .venv): the versions the tests passed with.
set -euo pipefail
cd "$(dirname "$0")/.."
"${1:-.venv}/bin/python" -m pip list --format=freeze --exclude-editable --exclude pip --exclude wheel \
    | sed -E 's/\+(cpu|cu[0-9]+)$//' | LC_ALL=C sort -f > constraints.txt
