#!/bin/sh
# --8<-- [start:wrong_entrypoint]
set -e
echo "starting $1"
"$@"
# --8<-- [end:wrong_entrypoint]
