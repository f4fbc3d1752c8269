"""The probes."""

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db.utils import ConnectionHandler
from django.test import Client

import config.health
from config.health import PATHS, HealthMiddleware


@pytest.fixture
def _database_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    away = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": tmp_path / "missing" / "db.sqlite3",
        }
    }
    monkeypatch.setattr(config.health, "connection", ConnectionHandler(away)["default"])


@pytest.fixture
def _stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HealthMiddleware, "stopping", True)


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_all_is_well(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.django_db
@pytest.mark.usefixtures("_database_away")
@pytest.mark.parametrize(
    ("path", "status"), [("/livez", 200), ("/readyz", 503), ("/startupz", 503)]
)
def test_database_is_away(client: Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@pytest.mark.usefixtures("_stopping")
@pytest.mark.django_db
@pytest.mark.parametrize(("path", "status"), [("/livez", 200), ("/readyz", 503)])
def test_process_is_stopping(client: Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@pytest.mark.django_db(transaction=True)
def test_migrations_are_missing(client: Client) -> None:
    call_command("migrate", "users", "zero", verbosity=0)
    try:
        assert client.get("/readyz").status_code == 200
        assert client.get("/startupz").status_code == 503
    finally:
        call_command("migrate", verbosity=0)
    assert client.get("/startupz").status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.django_db
def test_probes_come_by_address_and_without_tls(
    client: Client, settings: LazySettings, path: str
) -> None:
    settings.ALLOWED_HOSTS = ["service.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path, headers={"host": "10.1.2.3:8000"}).status_code == 200
