"""Images really built and containers really run, where a Docker Engine answers."""

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from ..conftest import SECRET, free_port, generate

MEGABYTE = 1_000_000
RESTRICTED = [
    *("--read-only", "--tmpfs", "/tmp:size=16m", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
]
CPU = """
import os, pathlib
ticks = 0
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    if stat.parent.name != str(os.getpid()):
        fields = stat.read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
print(ticks / os.sysconf("SC_CLK_TCK"))
"""
# Each process of the tests has images, containers and networks of its own.
NAME = f"slim-test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


def docker(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a docker command."""
    result = subprocess.run(["docker", *args], capture_output=True, text=True)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def why_no_docker() -> str | None:
    """Why these tests cannot run here, if so."""
    if not shutil.which("docker"):
        return "no docker command"
    if docker("info", check=False).returncode:
        return "no Docker Engine answers"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them where there is no Docker Engine."""
    reason = why_no_docker()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default project, not to be changed."""
    return generate(tmp_path_factory.mktemp("docker"), project_slug="slim_test")


@contextlib.contextmanager
def build(project: Path, *args: str, name: str) -> Iterator[str]:
    """An image, built for as long as it is needed; with Python 3.13."""
    tag = f"{NAME}:{name}"
    python = ["--build-arg", "PYTHON_VERSION=3.13"]
    docker("build", "--progress=plain", "--tag", tag, *python, *args, str(project))
    try:
        yield tag
    finally:
        docker("image", "rm", "--force", tag)


@pytest.fixture(scope="session")
def image(project: Path) -> Iterator[str]:
    """The production image of the default project."""
    with build(project, name="prod") as tag:
        yield tag


def layers(image: str) -> list[bytes]:
    """The layers of an image, as uncompressed archives."""
    with tempfile.TemporaryFile() as saved:
        subprocess.run(["docker", "save", image], stdout=saved, check=True)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as archive:
            (manifest,) = json.load(archive.extractfile("manifest.json"))
            return [archive.extractfile(name).read() for name in manifest["Layers"]]


def compressed(layers: Iterable[bytes]) -> int:
    """The bytes of these layers as pushed."""
    return sum(len(gzip.compress(layer, 6)) for layer in layers)


def networked() -> Iterator[str]:
    """A network for a database and those who use it."""
    docker("network", "create", NAME)
    yield NAME
    docker("network", "rm", NAME)


def postgresql(network: str, image: str) -> Iterator[str]:
    """The name of a container with PostgreSQL, migrated by the production image."""
    name = f"{NAME}-db"
    options = ["--network", network, "--env", "POSTGRES_PASSWORD=x"]
    docker("run", "--detach", "--name", name, *options, "postgres:18-alpine")
    try:
        ready = ["exec", name, "pg_isready", "--host", "127.0.0.1"]
        eventually(lambda: docker(*ready, check=False).returncode == 0)
        docker("run", "--rm", *RESTRICTED, *environ(network), image, "migrate")
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


network = pytest.fixture(networked, scope="session", name="network")
database = pytest.fixture(postgresql, scope="session", name="database")


def environ(network: str, **values: str) -> list[str]:
    """The options of docker run for a service in the network."""
    values = {
        "SECRET_KEY": SECRET,
        "DATABASE_URL": f"postgres://postgres:x@{NAME}-db/postgres",
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
    } | values
    options = [f"--env={name}={value}" for name, value in values.items()]
    return ["--network", network, *options]


def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until the condition holds; fail if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def status(address: str) -> int | None:
    """The status with which the address answers, if it does."""
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def page(address: str) -> str:
    """What the address shows, or nothing while it does not answer."""
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return response.read().decode()
    except OSError:
        return ""


def cpu_seconds(container: str) -> float:
    """What the container's processes, but for those that ask, have used so far."""
    return float(docker("exec", container, "python", "-c", CPU).stdout)


@contextlib.contextmanager
def service(image: str, *options: str) -> Iterator[tuple[str, str]]:
    """A serving container: its name and address."""
    port = free_port()
    name = f"{NAME}-web-{port}"
    publish = ["--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8000"]
    docker("run", *publish, *RESTRICTED, *options, image)
    try:
        yield name, f"http://127.0.0.1:{port}"
    finally:
        docker("rm", "--force", name)


@pytest.fixture
def served(image: str, network: str, database: str) -> Iterator[tuple[str, str]]:
    """The production image, ready to serve: the container's name and address."""
    with service(image, *environ(network)) as (name, address):
        eventually(lambda: status(f"{address}/readyz") == 200)
        yield name, address
