#!/usr/bin/env bash
# Each machine runs this in a copy of the repository.
set -euo pipefail
uv venv --quiet .venv
# --8<-- [start:wrong_install]
uv pip install --quiet -r requirements.txt
# --8<-- [end:wrong_install]
