# Alpine in two stages; the second has no compiler, but all else of the base image.
ARG BASE=python:3.14-alpine
FROM ${BASE} AS base

FROM base AS builder
RUN apk update && apk add gcc python3-dev musl-dev linux-headers postgresql-dev
COPY requirements/prod.txt /requirements.txt
RUN pip install --prefix=/install -r /requirements.txt

FROM base
COPY --from=builder /install /usr/local
RUN apk add --no-cache libpq
COPY src /app
WORKDIR /app
RUN SECRET_KEY=for-the-build-alone-0123456789-0123456789-0123456789 DATABASE_URL=sqlite:// \
    python manage.py collectstatic --noinput
CMD ["python", "-m", "config", "web"]
