"""Probes: /livez, /readyz and /startupz.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
A middleware of our own, since probes come by IP address and have to be answered before
ALLOWED_HOSTS and the redirect to HTTPS; libraries answer them in views, which is later.
"""

import logging
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

PATHS = ("/livez", "/readyz", "/startupz")


class HealthMiddleware:
    """Answers the probes with 200, or with 503 and the reason as plain text.

    - /livez: the process answers. Touches nothing else, so that an outage of the
      database does not restart every replica.
    - /readyz: the database answers, and the process has not been told to stop.
    - /startupz: like /readyz, and all migrations are applied.
    """

    stopping = False
    """Set once the process has been told to stop, to be taken out of rotation."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.migrated = False

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path not in PATHS:
            return self.get_response(request)
        problem = None if request.path == "/livez" else self.why_not_ready()
        if problem is None and request.path == "/startupz":
            problem = self.why_not_started()
        return HttpResponse(
            f"{problem or 'ok'}\n",
            content_type="text/plain",
            status=503 if problem else 200,
            headers={"Cache-Control": "no-store"},
        )

    def why_not_ready(self) -> str | None:
        if self.stopping:
            return "stopping"
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except DatabaseError:
            return "database not reachable"
        return None

    def why_not_started(self) -> str | None:
        if not self.migrated:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return "migrations not applied"
            self.migrated = True
        return None


class ProbeFilter(logging.Filter):
    """Drops what Django logs of a probe that was answered with 503."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        return getattr(request, "path", None) not in PATHS
