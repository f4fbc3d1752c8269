# Naive: the standard image, and whatever comes to mind.
ARG BASE=python:3.14
FROM ${BASE}
RUN apt-get update
RUN apt-get install -y --no-install-recommends postgresql-client
COPY requirements/prod.txt /requirements.txt
RUN pip install -r /requirements.txt
COPY src /app
WORKDIR /app
RUN SECRET_KEY=for-the-build-alone-0123456789-0123456789-0123456789 DATABASE_URL=sqlite:// \
    python manage.py collectstatic --noinput
CMD ["python", "-m", "config", "web"]
