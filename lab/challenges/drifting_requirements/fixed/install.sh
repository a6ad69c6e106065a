#!/usr/bin/env bash
# Each machine runs this in a copy of the repository.
set -euo pipefail
uv venv --quiet .venv
# --8<-- [start:install]
uv pip sync --quiet --require-hashes requirements.txt
# --8<-- [end:install]
