# --8<-- [start:bind]
FROM python:3.13-slim-trixie
RUN --mount=type=bind,source=grades.csv,target=/tmp/grades.csv \
    wc --lines < /tmp/grades.csv > /enrollments
# --8<-- [end:bind]
