#!/usr/bin/env bash
# A developer runs this when the requirements change, and commits what it writes.
set -euo pipefail
# --8<-- [start:lock]
uv pip compile --quiet --generate-hashes --output-file requirements.txt requirements.in
# --8<-- [end:lock]
