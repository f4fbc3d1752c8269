# Alpine; what compiled psycopg2 is removed in the layer that installed it.
ARG BASE=python:3.14-alpine
FROM ${BASE}
COPY requirements/prod.txt /requirements.txt
RUN apk update && \
    apk add --no-cache --virtual .build-deps \
        gcc python3-dev musl-dev linux-headers postgresql-dev && \
    apk add --no-cache libpq && \
    pip install -r /requirements.txt && \
    apk del .build-deps
COPY src /app
WORKDIR /app
RUN SECRET_KEY=for-the-build-alone-0123456789-0123456789-0123456789 DATABASE_URL=sqlite:// \
    python manage.py collectstatic --noinput
CMD ["python", "-m", "config", "web"]
