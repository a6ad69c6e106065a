#!/usr/bin/env bash
# A developer runs this when the requirements change, and commits what it writes.
set -euo pipefail
# --8<-- [start:wrong_lock]
cp requirements.in requirements.txt
# --8<-- [end:wrong_lock]
