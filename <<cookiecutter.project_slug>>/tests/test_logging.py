"""What is logged, and how."""

import json

import pytest
from django.test import Client

from config.health import PATHS

from .conftest import Run

HOST = "service.example.com"
REQUEST = f"""
import sys
import django
django.setup()
from django.test import Client
client = Client(headers={{"host": "{HOST}", "x-request-id": "abc-123"}})
client.get(sys.argv[1], secure=True)
"""


def logged(production: Run, path: str, **environ: str) -> list[str]:
    """The lines that a request for the path writes to standard output."""
    result = production(
        "-c",
        REQUEST,
        path,
        DJANGO_SETTINGS_MODULE="config.settings",
        ALLOWED_HOSTS=HOST,
        **environ,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_production_logs_a_json_object_for_each_request(production: Run) -> None:
    (line,) = logged(production, "/admin/?token=secret")
    assert "secret" not in line
    record = json.loads(line)
    assert record.pop("duration_ms") >= 0
    assert record.pop("timestamp")
    assert record.pop("message").startswith("GET /admin/ 302 in ")
    assert record == {
        "level": "INFO",
        "logger": "request",
        "request_id": "abc-123",
        "method": "GET",
        "path": "/admin/",
        "status": 302,
    }


def test_development_logs_a_readable_line(production: Run) -> None:
    (line,) = logged(production, "/missing", DEBUG="true")
    assert "request GET /missing 404 in" in line


@pytest.mark.parametrize("path", PATHS)
def test_probes_are_not_logged(production: Run, path: str) -> None:
    assert logged(production, path, DATABASE_URL="sqlite:////missing/db.sqlite3") == []


def test_path_cannot_forge_a_line(production: Run) -> None:
    (line,) = logged(production, "/%0AERROR forged", DEBUG="true")
    assert "/%0AERROR%20forged" in line


@pytest.mark.parametrize("given", ["abc-123", "two words", "x" * 65, "line\nbreak", ""])
def test_request_id_is_taken_over_if_plain(client: Client, given: str) -> None:
    answered = client.get("/", headers={"x-request-id": given}).headers["X-Request-ID"]
    assert (answered == given) is (given == "abc-123")
