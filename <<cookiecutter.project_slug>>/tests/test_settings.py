"""Configuration by environment variables."""

import json
from pathlib import Path

import pytest

from .conftest import PRODUCTION, Run

CHECK = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")


def test_production_settings_pass_the_deployment_check(production: Run) -> None:
    result = production(*CHECK)
    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout


def test_all_problems_are_reported_together(production: Run) -> None:
    result = production(
        *CHECK, DEBUG="perhaps", SECRET_KEY="short", DATABASE_URL="nonsense"
    )
    assert result.returncode == 1
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [
        "The configuration is incomplete or invalid",
        "  DEBUG",
        "  SECRET_KEY",
        "  DATABASE_URL",
    ]


@pytest.mark.parametrize("name", PRODUCTION)
def test_missing_variable_is_named(
    production: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delitem(PRODUCTION, name)
    result = production(*CHECK)
    assert result.returncode == 1
    assert f"  {name}: Environment variable not set." in result.stderr


@pytest.mark.parametrize(
    "url",
    ["postgres://app:hunter2@db:port/app", "postgres://app:hun/ter2@db", "hunter2"],
)
def test_secrets_are_not_shown(production: Run, url: str) -> None:
    result = production(*CHECK, SECRET_KEY="hunter2", DATABASE_URL=url)
    assert result.returncode == 1
    assert "hun" not in result.stderr + result.stdout


@pytest.mark.parametrize("name", PRODUCTION)
def test_variable_is_read_from_a_file(
    production: Run, tmp_path: Path, name: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PRODUCTION[name] + "\n")
    assert production(*CHECK, **{name: "", f"{name}_FILE": f"{secret}"}).returncode == 0


def test_unreadable_file_is_named(production: Run) -> None:
    result = production(*CHECK, SECRET_KEY_FILE="/missing")
    assert result.returncode == 1
    assert "  SECRET_KEY_FILE: Not a readable text file." in result.stderr


def test_postgresql_is_given_up_on_quickly_and_checked_before_use(
    production: Run,
) -> None:
    script = "import json; from config.settings import *; print(json.dumps(DATABASES))"
    result = production("-c", script, DATABASE_URL="postgres://app@db/app")
    database = json.loads(result.stdout)["default"]
    assert database["OPTIONS"]["connect_timeout"] == 2
    assert database["CONN_HEALTH_CHECKS"] is True
    assert database["CONN_MAX_AGE"] == 60


def test_models_have_all_their_migrations(production: Run) -> None:
    result = production("manage.py", "makemigrations", "--check", "--dry-run")
    assert result.returncode == 0, result.stdout
