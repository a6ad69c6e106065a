# --8<-- [start:secret]
FROM python:3.13-slim-trixie
RUN --mount=type=secret,id=netrc,target=/root/.netrc \
    wc --lines /root/.netrc > /used
# --8<-- [end:secret]
