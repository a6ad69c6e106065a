FROM python:3.13-slim-trixie
WORKDIR /app
COPY requirements-lab.txt .
# --8<-- [start:cache]
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes -r requirements-lab.txt
# --8<-- [end:cache]
COPY . .
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "lab.docker.wsgi"]
