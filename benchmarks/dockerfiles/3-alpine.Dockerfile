# Alpine, with all that psycopg2 needs to be compiled.
ARG BASE=python:3.14-alpine
FROM ${BASE}
RUN apk update && \
    apk add --no-cache libpq gcc python3-dev musl-dev linux-headers postgresql-dev
COPY requirements/prod.txt /requirements.txt
RUN pip install -r /requirements.txt
COPY src /app
WORKDIR /app
RUN SECRET_KEY=for-the-build-alone-0123456789-0123456789-0123456789 DATABASE_URL=sqlite:// \
    python manage.py collectstatic --noinput
CMD ["python", "-m", "config", "web"]
