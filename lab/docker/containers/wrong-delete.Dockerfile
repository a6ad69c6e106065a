# --8<-- [start:wrong_delete]
FROM python:3.13-slim-trixie
COPY grades.csv /tmp/
RUN wc --lines < /tmp/grades.csv > /enrollments
RUN rm /tmp/grades.csv
# --8<-- [end:wrong_delete]
