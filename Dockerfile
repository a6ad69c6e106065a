# The lab as an image for production: docker build --tag nexus-lab .
FROM python:3.13-slim-trixie AS packages

RUN python -m venv --without-pip /venv
COPY requirements-lab.txt /tmp/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /venv/bin/python install --require-hashes --requirement /tmp/requirements-lab.txt

FROM python:3.13-slim-trixie

ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin lab
WORKDIR /app

COPY --from=packages /venv /venv
COPY lab lab
# The settings want their variables even here; these are used for nothing else.
RUN DATABASE_URL=sqlite:////tmp/unused SECRET_KEY=read-while-files-are-collected-and-never-in-a-running-process \
    python lab/manage.py collectstatic --no-input

USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s \
    CMD ["python", "-m", "lab.docker.healthcheck"]
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--workers", "2", "lab.docker.wsgi"]
