FROM python:3.13-slim-trixie
WORKDIR /app
COPY requirements-lab.txt .
RUN pip install --require-hashes -r requirements-lab.txt
COPY . .
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "lab.docker.wsgi"]
