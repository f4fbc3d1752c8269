"""The image, really built and run. Figures hold for Python 3.13."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import generate, make
from .test_project import free_port

MEGABYTE = 1_000_000
SECRET = "0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdef"
RESTRICTED = [
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
]


def docker(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a docker command."""
    result = subprocess.run(["docker", *args], capture_output=True, text=True)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def why_no_docker() -> str | None:
    """Why the tests of this module cannot run here, if so."""
    if not shutil.which("docker"):
        return "no docker command"
    if docker("info", check=False).returncode:
        return "no Docker Engine answers"
    return None


pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(bool(why_no_docker()), reason=why_no_docker() or ""),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project whose images are built."""
    return generate(tmp_path_factory.mktemp("docker"), project_slug="slim_test")


def build(project: Path, tag: str, *args: str) -> str:
    """Build an image and return its tag."""
    docker("build", "--quiet", "--tag", tag, *args, str(project))
    return tag


@pytest.fixture(scope="module")
def image(project: Path) -> Iterator[str]:
    """The production image of the default project, with Python 3.13."""
    yield build(project, "slim-test:prod", "--build-arg", "PYTHON_VERSION=3.13")
    docker("image", "rm", "--force", "slim-test:prod")


def layers(image: str) -> list[bytes]:
    """The layers of an image, as uncompressed archives."""
    with tempfile.TemporaryFile() as saved:
        subprocess.run(["docker", "save", image], stdout=saved, check=True)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as archive:
            (manifest,) = json.load(archive.extractfile("manifest.json"))
            return [archive.extractfile(name).read() for name in manifest["Layers"]]


@pytest.fixture(scope="module")
def image_layers(image: str) -> list[bytes]:
    """The layers of the production image."""
    return layers(image)


def members(layer: bytes) -> dict[str, tarfile.TarInfo]:
    """What is in a layer, by its path."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return {f"/{member.name}": member for member in archive}


@pytest.fixture(scope="module")
def files(image_layers: list[bytes]) -> dict[str, tarfile.TarInfo]:
    """Everything in the production image, by its path."""
    return {path: m for layer in image_layers for path, m in members(layer).items()}


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """A network for a database and those who use it."""
    docker("network", "create", "slim-test")
    yield "slim-test"
    docker("network", "rm", "slim-test")


@pytest.fixture(scope="module")
def database(network: str, image: str) -> Iterator[str]:
    """The name of a container with PostgreSQL, migrated by the production image."""
    name = "slim-test-db"
    options = ["--network", network, "--env", "POSTGRES_PASSWORD=x"]
    docker("run", "--detach", "--rm", "--name", name, *options, "postgres:18-alpine")
    try:
        ready = ["exec", name, "pg_isready", "--host", "127.0.0.1"]
        eventually(lambda: docker(*ready, check=False).returncode == 0)
        docker("run", "--rm", *RESTRICTED, *environ(network), image, "migrate")
        yield name
    finally:
        docker("rm", "--force", name)


def environ(network: str, **values: str) -> list[str]:
    """The options of docker run for a service in the network."""
    values = {
        "SECRET_KEY": SECRET,
        "DATABASE_URL": "postgres://postgres:x@slim-test-db/postgres",
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


@contextlib.contextmanager
def service(image: str, *options: str) -> Iterator[tuple[str, str]]:
    """A serving container: its name and address."""
    port = free_port()
    name = f"slim-test-web-{port}"
    publish = ["--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8000"]
    docker("run", *publish, *RESTRICTED, *options, image)
    try:
        yield name, f"http://127.0.0.1:{port}"
    finally:
        docker("rm", "--force", name)


def test_size(image: str) -> None:
    size = json.loads(docker("image", "inspect", image).stdout)[0]["Size"]
    assert size <= 42 * MEGABYTE


def test_size_as_pushed(image_layers: list[bytes]) -> None:
    assert sum(len(gzip.compress(layer, 6)) for layer in image_layers) <= 16 * MEGABYTE


def test_change_of_code_pushes_little(
    project: Path, image_layers: list[bytes], tmp_path: Path
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(project, changed)
    with (changed / "src/config/views.py").open("a") as views:
        views.write("# changed\n")
    tag = build(changed, "slim-test:changed", "--build-arg", "PYTHON_VERSION=3.13")
    try:
        new = [layer for layer in layers(tag) if layer not in image_layers]
    finally:
        docker("image", "rm", tag)
    assert 0 < sum(len(gzip.compress(layer, 6)) for layer in new) <= 1.5 * MEGABYTE


def test_dependencies_are_a_layer_of_their_own(image_layers: list[bytes]) -> None:
    (layer,) = (layer for layer in image_layers if b"site-packages/django/" in layer)
    assert len(gzip.compress(layer, 6)) <= 8 * MEGABYTE


def checksum(content: bytes) -> str:
    """What tells contents apart, in a length that a failing test can show."""
    return hashlib.sha256(content).hexdigest()[:16]


def digests(layers: list[bytes]) -> dict[tuple[int, str], tuple[object, ...]]:
    """What tells files apart, by the number of their layer and their path."""
    found = {}
    for number, layer in enumerate(layers):
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                about = (member.mode, member.mtime, member.linkname)
                digest = checksum(content.read()) if content else ""
                found[number, member.name] = (*about, digest)
    return found


def test_two_builds_are_identical(project: Path, image_layers: list[bytes]) -> None:
    arguments = ["--no-cache", "--build-arg", "PYTHON_VERSION=3.13"]
    tag = build(project, "slim-test:again", *arguments)
    try:
        again = layers(tag)
    finally:
        docker("image", "rm", tag)
    assert digests(again) == digests(image_layers)
    assert list(map(checksum, again)) == list(map(checksum, image_layers))


@pytest.mark.parametrize(
    "pattern",
    [
        r"bin/(sh|ash|bash|busybox|apk|pip[0-9.]*|gcc|cc|ld)$",
        r"/site-packages/(pip|setuptools|pytest|pydevd|debugpy|mypy)",
        r"\.(po|h|c|a|pyx)$",
        r"^/app/(.*/)?tests?/",
        r"/python3[0-9.]*/(test|idlelib|tkinter|ensurepip)/",
        r"/\.(env|git)",
        r"/staticfiles/.*/jquery\.[0-9a-f]{12}\.js",
    ],
)
def test_what_production_does_without(
    files: dict[str, tarfile.TarInfo], pattern: str
) -> None:
    assert [name for name in files if re.search(pattern, name)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"^/lib/apk/db/installed$",
        r"^/etc/os-release$",
        r"^/etc/alpine-release$",
        r"^/etc/ssl/cert\.pem$",
        r"^/usr/share/zoneinfo/Europe/Berlin$",
        r"/site-packages/django-[0-9.]+\.dist-info/METADATA$",
        r"/site-packages/django/conf/locale/en/LC_MESSAGES/django\.mo$",
        r"^/app/config/views\.py$",
        r"^/app/staticfiles/site\.[0-9a-f]+\.css\.gz$",
    ],
)
def test_what_production_needs(files: dict[str, tarfile.TarInfo], pattern: str) -> None:
    assert [name for name in files if re.search(pattern, name)]


def test_nobody_but_root_owns_or_writes(files: dict[str, tarfile.TarInfo]) -> None:
    for name, member in files.items():
        assert (member.uid, member.gid) == (0, 0), name
        assert not member.mode & 0o6000, name
        if not member.issym() and name.rstrip("/") != "/tmp":
            assert not member.mode & 0o022, name


def test_secret_of_the_build_is_nowhere(image: str, image_layers: list[bytes]) -> None:
    history = docker("history", "--no-trunc", image).stdout.encode()
    for content in [history, *image_layers]:
        assert b"only for the build" not in content


def test_there_is_no_shell(image: str) -> None:
    result = docker("run", "--rm", "--entrypoint", "/bin/sh", image, check=False)
    assert result.returncode == 127


def test_user_is_a_number_that_is_not_root(image: str) -> None:
    config = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]
    assert re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", config["User"])
    assert config["Labels"]["org.opencontainers.image.revision"]


@pytest.mark.parametrize(
    "module", ["sqlite3", "asyncio", "unittest", "pydoc", "ctypes"]
)
def test_next_dependency_finds_its_modules(image: str, module: str) -> None:
    docker("run", "--rm", "--entrypoint", "python3", image, "-c", f"import {module}")


def test_time_zones_and_authorities_are_there(image: str) -> None:
    script = (
        "import ssl, zoneinfo; zoneinfo.ZoneInfo('Asia/Tokyo');"
        "assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 50"
    )
    docker("run", "--rm", "--entrypoint", "python3", image, "-c", script)


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


def test_static_files_are_served(image: str, network: str, database: str) -> None:
    with service(image, *environ(network)) as (_, address):
        eventually(lambda: status(f"{address}/readyz") == 200)
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


def test_killed_worker_is_replaced(image: str, network: str, database: str) -> None:
    with service(image, *environ(network)) as (name, address):
        eventually(lambda: status(f"{address}/readyz") == 200)
        script = (
            "import os, signal; pids = [int(p) for p in os.listdir('/proc') "
            "if p.isdigit() and int(p) not in (1, os.getpid())]; "
            "os.kill(min(pids), signal.SIGKILL)"
        )
        docker("exec", name, "python3", "-c", script)
        eventually(lambda: len(docker("top", name).stdout.splitlines()) == 4)
        eventually(lambda: status(f"{address}/readyz") == 200)
        top = docker("top", name, "-o", "pid,stat").stdout
        assert "Z" not in top


def test_sigterm_ends_it_cleanly(image: str, network: str, database: str) -> None:
    with service(image, *environ(network)) as (name, address):
        eventually(lambda: status(f"{address}/readyz") == 200)
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
    tag = build(project, "slim-test:other")
    try:
        with service(tag, *environ(network)) as (_, address):
            eventually(lambda: status(f"{address}/startupz") == 200)
            assert status(f"{address}/") == 200
    finally:
        docker("image", "rm", "--force", tag)


@pytest.fixture(scope="module")
def development(project: Path) -> Iterator[tuple[Path, str]]:
    """The project served by `make up`: its folder and address."""
    port = free_port()
    make(project, "up", f"PORT={port}")
    try:
        yield project, f"http://127.0.0.1:{port}"
    finally:
        make(project, "down")
        docker("volume", "rm", "slim-test_db")


def page(address: str) -> str:
    """What the address shows, or nothing while it does not answer."""
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return response.read().decode()
    except OSError:
        return ""


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
def test_projects_own_tests_pass_in_the_container_on_postgresql(
    tmp_path: Path, django_version: str
) -> None:
    slug = f"slim_own_{django_version[0]}"
    project = generate(tmp_path, project_slug=slug, django_version=django_version)
    try:
        make(project, "up", f"PORT={free_port()}")
        run = ["docker", "compose", "exec", "-T", "web", "pytest"]
        environ = os.environ | {"SECRET_KEY": SECRET}
        tests = subprocess.run(
            run, cwd=project, env=environ, capture_output=True, text=True, check=False
        )
        assert tests.returncode == 0, tests.stdout + tests.stderr
    finally:
        make(project, "down")
        docker("volume", "rm", f"{slug.replace('_', '-')}_db", check=False)


def test_make_builds_the_image_of_the_commit(project: Path) -> None:
    tag = "slim-test:made"
    make(project, "image", f"IMAGE={tag}")
    labels = json.loads(docker("image", "inspect", tag).stdout)[0]["Config"]["Labels"]
    docker("image", "rm", tag)
    assert labels["org.opencontainers.image.title"] == "slim-test"


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
