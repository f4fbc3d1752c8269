"""One log line for each request, and the request's id on all that is logged in it."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path

logger = logging.getLogger("request")
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestIdFilter(logging.Filter):
    """Gives every record the `request_id` of the request that is being served."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


class RequestLogMiddleware:
    """Logs method, path (without the query, which may hold secrets), status and time.

    The id is the proxy's X-Request-ID if it is a plain one, else a new one; the
    response carries it too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        plain = re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII)
        current_id = given if plain else uuid.uuid4().hex
        token = request_id.set(current_id)
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = current_id
            # Escaped again, since a decoded path may hold line breaks.
            path = escape_uri_path(request.path)
            fields = {
                "method": request.method,
                "path": path,
                "status": response.status_code,
                "duration_ms": round((time.perf_counter() - started) * 1000, 1),
            }
            logger.info(
                "%(method)s %(path)s %(status)s in %(duration_ms)s ms",
                fields,
                extra=fields,
            )
            return response
        finally:
            request_id.reset(token)
