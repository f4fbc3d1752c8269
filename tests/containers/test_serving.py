"""The production image serves, and survives faults."""

import json
import re
import urllib.request
from pathlib import Path

import pytest

from ..conftest import generate, make
from ..test_project import free_port
from .conftest import RESTRICTED, build, docker, environ, eventually, service, status


def test_missing_configuration_is_named_at_once(image: str) -> None:
    result = docker("run", "--rm", *RESTRICTED, image, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "The configuration is incomplete or invalid:",
        "  SECRET_KEY: Environment variable not set.",
        "  DATABASE_URL: Environment variable not set.",
    ]


@pytest.mark.parametrize("user", ["65532:65532", "0", "12345:0"])
def test_serves_with_restrictions_as_any_user(
    image: str, network: str, database: str, user: str
) -> None:
    with service(image, *environ(network), "--user", user) as (name, address):
        eventually(lambda: status(f"{address}/startupz") == 200)
        for page in ("/", "/livez", "/readyz", "/admin/login/"):
            assert status(address + page) == 200
        assert status(f"{address}/missing") == 404
        for line in docker("logs", name).stdout.splitlines():
            assert json.loads(line)["level"] == "INFO"


def test_static_files_are_served(served: tuple[str, str]) -> None:
    _, address = served
    with urllib.request.urlopen(f"{address}/admin/login/") as response:
        page = response.read().decode()
    for file in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        assert status(address + file) == 200


def test_health_check_runs_without_a_shell(
    image: str, network: str, database: str
) -> None:
    every = ["--health-interval", "1s", "--health-start-period", "0s"]
    with service(image, *environ(network), *every) as (name, _):
        health = ["inspect", "--format", "{{.State.Health.Status}}", name]
        eventually(lambda: docker(*health).stdout.strip() == "healthy")


def test_database_that_comes_late(image: str, network: str, database: str) -> None:
    docker("network", "disconnect", network, database)
    try:
        with service(image, *environ(network)) as (_, address):
            eventually(lambda: status(f"{address}/livez") == 200)
            assert status(f"{address}/readyz") == 503
            docker("network", "connect", network, database)
            eventually(lambda: status(f"{address}/readyz") == 200)
    finally:
        docker("network", "connect", network, database, check=False)


def test_killed_worker_is_replaced(served: tuple[str, str]) -> None:
    name, address = served
    script = (
        "import os, signal; pids = [int(p) for p in os.listdir('/proc') "
        "if p.isdigit() and int(p) not in (1, os.getpid())]; "
        "os.kill(min(pids), signal.SIGKILL)"
    )
    docker("exec", name, "python3", "-c", script)
    eventually(lambda: len(docker("top", name).stdout.splitlines()) == 4)
    eventually(lambda: status(f"{address}/readyz") == 200)
    assert "Z" not in docker("top", name, "-o", "pid,stat").stdout


def test_sigterm_ends_it_cleanly(served: tuple[str, str]) -> None:
    name, _ = served
    docker("stop", "--time", "25", name)
    state = json.loads(docker("inspect", name).stdout)[0]["State"]
    assert state["ExitCode"] == 0


def test_traceback_shows_lines_of_the_application(image: str, network: str) -> None:
    options = [*environ(network), "--env", "DJANGO_SETTINGS_MODULE=config.settings"]
    script = "from config.health import HealthMiddleware as H; H(None)(0)"
    python = ["--entrypoint", "python3", image, "-c", script]
    result = docker("run", "--rm", *options, *python, check=False)
    assert "if request.path not in PATHS:" in result.stderr


def test_other_python_and_django_build_and_serve(
    tmp_path: Path, network: str, database: str
) -> None:
    project = generate(tmp_path, django_version="6.1")
    with (
        build(project, "--build-arg", "PYTHON_VERSION=3.14", name="other") as tag,
        service(tag, *environ(network)) as (_, address),
    ):
        eventually(lambda: status(f"{address}/startupz") == 200)
        assert status(f"{address}/") == 200


def test_production_image_runs_locally(tmp_path: Path) -> None:
    project = generate(tmp_path, project_slug="slim_prod")
    port = free_port()
    try:
        make(project, "prod", f"PORT={port}")
        for path in ("/", "/startupz", "/admin/login/"):
            assert status(f"http://127.0.0.1:{port}{path}") == 200
    finally:
        make(project, "down")
        docker("volume", "rm", "slim-prod_db", check=False)
