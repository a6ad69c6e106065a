# --8<-- [start:wrong_naive]
FROM python:3.13-slim-trixie
COPY . .
RUN pip install -r requirements-lab.in
CMD gunicorn --bind 0.0.0.0:8000 lab.docker.wsgi
# --8<-- [end:wrong_naive]
