# Releases of the lab that fail, each in its own way: docker build --target setting …

# --8<-- [start:wrong_releases]
FROM nexus-lab AS setting
ENV DEBUG=perhaps

FROM nexus-lab AS start
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "lab.docker.wsgy"]

FROM nexus-lab AS ready
ENV CACHE_URL=redis://127.0.0.1:1

FROM nexus-lab AS forgotten
ARG COLUMN='language = models.CharField(max_length=2, db_default="en")'
USER 0
RUN sed -i "s/^    seats = /    $COLUMN\n&/" lab/academy/models.py
USER 10001
# --8<-- [end:wrong_releases]

# The same change, with its migration.
FROM forgotten AS language
USER 0
RUN DEBUG=true DATABASE_URL=sqlite:////tmp/unused \
    python lab/manage.py makemigrations academy --name course_language
USER 10001
