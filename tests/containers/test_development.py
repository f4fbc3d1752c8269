"""The development container."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..conftest import SECRET, free_port, generate, make
from .conftest import build, cpu_seconds, docker, eventually, page, service, status

COMMANDS = ["lint", "test", "format", "migrations", "lock"]


@pytest.fixture(scope="module")
def development(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, str]]:
    """A project served by `make up`: its folder and address."""
    project = generate(tmp_path_factory.mktemp("dev"), project_slug="slim_dev")
    port = free_port()
    make(project, "up", f"PORT={port}")
    try:
        yield project, f"http://127.0.0.1:{port}"
    finally:
        make(project, "down")
        docker("volume", "rm", "slim-dev_db")


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("src/templates/index.html", "The service is running", "Still running"),
        ("src/config/views.py", '"Database":', '"Storage":'),
    ],
)
def test_change_is_live(
    development: tuple[Path, str], file: str, before: str, after: str
) -> None:
    project, address = development
    path = project / file
    original = path.read_text()
    path.write_text(original.replace(before, after))
    try:
        eventually(lambda: after.strip('":') in page(address), seconds=10)
    finally:
        path.write_text(original)


def test_idle_container_hardly_uses_the_processor(
    development: tuple[Path, str],
) -> None:
    _, address = development
    eventually(lambda: page(address))
    used = [cpu_seconds("slim-dev-web-1")]
    time.sleep(10)
    used.append(cpu_seconds("slim-dev-web-1"))
    assert used[1] - used[0] < 0.02 * 10


def test_development_is_on_postgresql_and_reloads_the_browser(
    development: tuple[Path, str],
) -> None:
    _, address = development
    eventually(lambda: "<dd>PostgreSQL</dd>" in page(address))
    assert "reload-listener.js" in page(address)


def test_logs_are_followed(development: tuple[Path, str]) -> None:
    project, _ = development
    logs = subprocess.Popen(
        ["make", "logs"], cwd=project, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert any(b"Starting development server" in line for line in logs.stdout)
        assert logs.poll() is None
    finally:
        os.killpg(logs.pid, signal.SIGTERM)
        logs.communicate(timeout=20)


def test_nothing_in_the_checkout_belongs_to_another_user(
    development: tuple[Path, str],
) -> None:
    project, _ = development
    owner = project.stat().st_uid
    assert {path.lstat().st_uid for path in project.rglob("*")} == {owner}


@pytest.mark.parametrize("django_version", ["5.2", "6.1"])
def test_daily_commands_need_nothing_but_docker(
    tmp_path: Path, django_version: str
) -> None:
    slug = f"slim_own_{django_version[0]}"
    project = generate(tmp_path, project_slug=slug, django_version=django_version)
    try:
        for command in COMMANDS:
            make(project, command, "IN=container")
        assert {path.lstat().st_uid for path in project.rglob("*")} == {os.getuid()}
        assert not (project / ".venv").exists()
    finally:
        make(project, "down")
        docker("volume", "rm", f"{slug.replace('_', '-')}_db", check=False)


@pytest.mark.parametrize(
    ("command", "typed", "shown"),
    [
        ("psql", r"\dt users*", "users_user"),
        (
            "shell",
            "from django.db import connection as c; print(c.vendor)",
            "postgresql",
        ),
    ],
)
def test_shells_open_the_services_database(
    development: tuple[Path, str], command: str, typed: str, shown: str
) -> None:
    project, _ = development
    result = subprocess.run(
        ["make", command, "IN=container"],
        cwd=project,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown in result.stdout, result.stderr


class IDE:
    """Enough of PyCharm's debug server: one connection, lines of `command id text`."""

    RUN, SUSPENDED, RESUME, BREAKPOINT, VERSION = 101, 105, 106, 111, 501

    def __init__(self, server: socket.socket) -> None:
        self.connection, _ = server.accept()
        self.lines = self.connection.makefile("r")

    def close(self) -> None:
        """Stop debugging."""
        self.lines.close()
        self.connection.close()

    def send(self, command: int, *text: str) -> None:
        """Tell the debugged process."""
        self.connection.sendall(f"{command}\t1\t{chr(9).join(text)}\n".encode())

    def wait(self, command: int) -> str:
        """What the debugged process next tells with this command."""
        for line in self.lines:
            number, _, text = line.split("\t", 2)
            if int(number) == command:
                return urllib.parse.unquote(text)
        raise EOFError


def debugged(project: Path, address: str, port: int) -> None:
    """Serve the project anew, to be debugged by an IDE that listens at the port."""
    environ = os.environ | {
        "PYCHARM_DEBUG_HOST": "host.docker.internal",
        "PYCHARM_DEBUG_PORT": str(port),
    }
    up = ["make", "up", f"PORT={urllib.parse.urlsplit(address).port}"]
    subprocess.run(up, cwd=project, env=environ, check=True, capture_output=True)


def test_breakpoint_is_hit_and_again_after_a_reload(
    development: tuple[Path, str],
) -> None:
    project, address = development
    views = project / "src/config/views.py"
    line = views.read_text().splitlines().index("    versions = {}") + 1
    listen = socket.create_server(("0.0.0.0", 0))
    with listen as server, ThreadPoolExecutor() as pool:
        server.settimeout(60)
        up = pool.submit(debugged, project, address, server.getsockname()[1])
        for _ in range(2):
            with contextlib.closing(IDE(server)) as ide:
                ide.send(IDE.VERSION, "263", "UNIX")
                where = ["python-line", "/project/src/config/views.py", str(line)]
                ide.send(IDE.BREAKPOINT, *where, "None", "NONE", "None", "None")
                ide.send(IDE.RUN, "")
                up.result()
                eventually(lambda: page(f"{address}/livez"))
                answer = pool.submit(page, address)
                suspended = ide.wait(IDE.SUSPENDED)
                assert f'name="index" file="{where[1]}" line="{line}"' in suspended
                assert not answer.done()
                ide.send(IDE.RESUME, re.search('thread id="([^"]+)"', suspended)[1])
                assert "The service is running" in answer.result()
                views.touch()


def test_service_runs_on_when_no_ide_listens(development: tuple[Path, str]) -> None:
    project, address = development
    port = free_port()
    debugged(project, address, port)
    eventually(lambda: page(address))
    command = ["docker", "compose", "logs", "web"]
    environ = os.environ | {"SECRET_KEY": SECRET}
    logs = subprocess.run(
        command, cwd=project, env=environ, capture_output=True, text=True, check=True
    ).stdout
    assert logs.count(f"host.docker.internal:{port}") == 1
    assert "Traceback" not in logs


def test_image_for_clusters_takes_changed_sources(tmp_path: Path) -> None:
    project = generate(tmp_path, project_slug="slim_dev")
    newest = ["--build-arg", "PYTHON_VERSION=3.14", "--target", "cluster"]
    settings = {"DEBUG": "true", "SECRET_KEY": SECRET}
    settings |= {"DATABASE_URL": "sqlite:////tmp/db.sqlite3"}
    options = [f"--env={name}={value}" for name, value in settings.items()]
    with (
        build(project, *newest, name="cluster") as tag,
        service(tag, "--read-only=false", *options) as (name, address),
    ):
        eventually(lambda: status(f"{address}/startupz") == 200)
        (project / "src/templates/index.html").write_text("Changed.")
        tar = ["tar", "-C", project, "-cf", "-", "src"]
        there = ["docker", "exec", "-i", name, "tar", "-xf", "-", "-C", "/project"]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as sources:
            subprocess.run(there, stdin=sources.stdout, check=True)
        eventually(lambda: "Changed." in page(address))
