#!/bin/sh
# --8<-- [start:entrypoint]
set -e
echo "starting $1"
exec "$@"
# --8<-- [end:entrypoint]
