# --8<-- [start:owner]
FROM python:3.13-slim-trixie
RUN useradd --uid 10001 lab && install --directory --owner lab /media
USER 10001
# --8<-- [end:owner]
