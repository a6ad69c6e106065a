# --8<-- [start:order]
FROM python:3.13-slim-trixie
WORKDIR /app
COPY requirements-lab.in .
RUN pip install -r requirements-lab.in
COPY . .
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "lab.docker.wsgi"]
# --8<-- [end:order]
