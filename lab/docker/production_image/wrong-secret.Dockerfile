# --8<-- [start:wrong_secret]
FROM python:3.13-slim-trixie
ARG INDEX_TOKEN
ENV SIGNING_KEY=s3cr3t-of-the-academy
RUN echo "machine packages.example password $INDEX_TOKEN" > /root/.netrc
RUN rm /root/.netrc
# --8<-- [end:wrong_secret]
