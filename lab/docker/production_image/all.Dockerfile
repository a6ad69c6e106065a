# --8<-- [start:all]
FROM scratch
COPY . /
# --8<-- [end:all]
