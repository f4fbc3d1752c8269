"""The production image serves, and survives faults."""

import contextlib
import http.client
import itertools
import json
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ..conftest import KILL_WORKER, free_port, generate, make
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
    docker("exec", name, "python3", "-c", KILL_WORKER)
    eventually(lambda: len(docker("top", name).stdout.splitlines()) == 4)
    eventually(lambda: status(f"{address}/readyz") == 200)
    assert "Z" not in docker("top", name, "-o", "pid,stat").stdout


def test_sigterm_ends_it_cleanly(served: tuple[str, str]) -> None:
    name, _ = served
    docker("stop", "-t", "25", name)
    state = json.loads(docker("inspect", name).stdout)[0]["State"]
    assert state["ExitCode"] == 0


class Load(threading.Thread):
    """Requests pages of a service again and again, and keeps what came back when."""

    def __init__(self, address: str, *paths: str) -> None:
        super().__init__()
        self.host, _, self.port = address.removeprefix("http://").partition(":")
        self.paths, self.ended = paths, threading.Event()
        self.results: list[tuple[float, str, int | None]] = []

    def run(self) -> None:
        for path in itertools.cycle(self.paths):
            if self.ended.is_set():
                return
            self.results.append((time.monotonic(), path, self.request(path)))

    def request(self, path: str) -> int | None:
        """The status; 0 if none came, nothing if the connection was refused."""
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=5)
        with contextlib.closing(connection):
            try:
                connection.connect()
                connection.sock.settimeout(30)
            except OSError:
                return None
            try:
                connection.request("GET", path)
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return 0


@contextlib.contextmanager
def load(address: str, *paths: str, clients: int = 4) -> Iterator[list[Load]]:
    """Several clients that request the pages all the time."""
    loads = [Load(address, *paths) for _ in range(clients)]
    for one in loads:
        one.start()
    try:
        time.sleep(1)
        yield loads
    finally:
        for one in loads:
            one.ended.set()
        for one in loads:
            one.join()


def test_restart_of_the_database_under_load(
    served: tuple[str, str], database: str
) -> None:
    _, address = served
    with load(address, "/", "/readyz") as loads:
        down = time.monotonic()
        docker("restart", database)
        eventually(lambda: status(f"{address}/readyz") == 200)
        up = time.monotonic()
        time.sleep(1)
    results = [result for one in loads for result in one.results]
    assert {answer for _, path, answer in results if path == "/"} == {200}
    for when, path, answer in results:
        if path == "/readyz":
            assert answer == 200 or (answer == 503 and down < when < up)
    assert any(answer == 503 for _, _, answer in results)


@pytest.mark.skipif(
    sys.platform != "linux", reason="containers' own addresses are Linux's alone"
)
def test_sigterm_under_load_loses_no_request(
    image: str, network: str, database: str
) -> None:
    hosts = {"ALLOWED_HOSTS": "*"}
    with service(image, *environ(network, **hosts)) as (name, address):
        eventually(lambda: status(f"{address}/readyz") == 200)
        inspected = json.loads(docker("inspect", name).stdout)[0]
        (endpoint,) = inspected["NetworkSettings"]["Networks"].values()
        # Docker's own proxy would accept what the service refuses.
        address = f"http://{endpoint['IPAddress']}:8000"
        with load(address, "/", "/admin/login/", clients=8) as loads:
            docker("stop", "-t", "25", name)
        answers = Counter(answer for one in loads for _, _, answer in one.results)
        assert answers[200] > 100
        assert set(answers) <= {200, None}


def test_slow_clients_do_not_keep_others_waiting(served: tuple[str, str]) -> None:
    _, address = served
    host, _, port = address.removeprefix("http://").partition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            client = stack.enter_context(socket.create_connection((host, int(port))))
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        for _ in range(20):
            assert status(f"{address}/") == 200


def test_body_over_the_limit_is_refused(served: tuple[str, str]) -> None:
    _, address = served
    request = urllib.request.Request(
        f"{address}/admin/login/",
        data=b"x=" + 3_000_000 * b"x",
        headers={"Cookie": f"csrftoken={32 * 'x'}"},
    )
    with pytest.raises(urllib.error.HTTPError, match="400|413"):
        urllib.request.urlopen(request)
    assert status(f"{address}/") == 200


def test_wrong_host_is_refused(served: tuple[str, str]) -> None:
    _, address = served
    request = urllib.request.Request(address, headers={"Host": "wrong.example.com"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)


def test_full_tmp_does_no_harm(served: tuple[str, str]) -> None:
    name, address = served
    fill = "import shutil; n = shutil.disk_usage('/tmp').free; "
    fill += "f = open('/tmp/full', 'wb'); f.write(bytes(n)); f.flush()"
    docker("exec", name, "python3", "-c", fill, check=False)
    for path in ("/", "/readyz", "/admin/login/"):
        assert status(address + path) == 200


def test_logs_tell_universal_time_wherever_it_runs(
    image: str, network: str, database: str
) -> None:
    with service(image, *environ(network, TZ="Asia/Tokyo")) as (name, address):
        eventually(lambda: status(f"{address}/") == 200)
        record = json.loads(docker("logs", name).stdout.splitlines()[-1])
    logged = datetime.fromisoformat(record["timestamp"])
    assert logged.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - logged) < timedelta(minutes=5)


def test_broken_configuration_is_named_at_once_without_its_values(image: str) -> None:
    broken = {
        "SECRET_KEY": "too-short",
        "DATABASE_URL": "nonsense://hidden",
        "WEB_CONCURRENCY": "hidden",
        "WEB_THREADS": "0",
        "DEBUG": "perhaps",
    }
    options = [f"--env={name}={value}" for name, value in broken.items()]
    result = docker("run", "--rm", *RESTRICTED, *options, image, check=False)
    assert result.returncode == 1
    named = {line.split(":")[0].strip() for line in result.stderr.splitlines()[1:]}
    assert named == set(broken)
    assert not re.search("|".join(["too-short", "hidden", "perhaps"]), result.stderr)


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
        docker("image", "rm", "ghcr.io/org/slim-prod", check=False)
