"""The production image: what it weighs and holds. Figures hold for Python 3.13."""

import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from ..conftest import attempt, environment, generate, make
from .conftest import (
    MEGABYTE,
    NAME,
    RESTRICTED,
    SECRET,
    build,
    compressed,
    docker,
    layers,
)

# What projects add first.
NEXT_DEPENDENCIES = [
    *("Pillow", "djangorestframework", "celery", "redis", "sentry-sdk"),
    *("boto3", "lxml", "numpy", "httpx", "cryptography"),
]


@pytest.fixture(scope="module")
def image_layers(image: str) -> list[bytes]:
    """The layers of the production image."""
    return layers(image)


@pytest.fixture(scope="module")
def files(image_layers: list[bytes]) -> dict[str, tarfile.TarInfo]:
    """Everything in the production image, by its path."""
    found = {}
    for layer in image_layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            found |= {f"/{member.name}": member for member in archive}
    return found


def test_size(image: str) -> None:
    size = json.loads(docker("image", "inspect", image).stdout)[0]["Size"]
    assert size <= 42 * MEGABYTE


def test_size_as_pushed(image_layers: list[bytes]) -> None:
    assert compressed(image_layers) <= 16 * MEGABYTE


def test_change_of_code_pushes_little(
    project: Path, image_layers: list[bytes], tmp_path: Path
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(project, changed)
    with (changed / "src/config/views.py").open("a") as views:
        views.write("# changed\n")
    with build(changed, name="changed") as tag:
        new = [layer for layer in layers(tag) if layer not in image_layers]
    assert 0 < compressed(new) <= 1.5 * MEGABYTE


def test_dependencies_are_a_layer_of_their_own(image_layers: list[bytes]) -> None:
    (layer,) = (layer for layer in image_layers if b"site-packages/django/" in layer)
    assert compressed([layer]) <= 8 * MEGABYTE


def contents(layers: list[bytes]) -> dict[tuple[int, str], tuple[object, bytes]]:
    """What tells files apart, by the number of their layer and their path."""
    found = {}
    for number, layer in enumerate(layers):
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for member in archive:
                about = (member.mode, member.uid, member.mtime, member.linkname)
                content = archive.extractfile(member) if member.isfile() else None
                found[number, member.name] = about, content.read() if content else b""
    return found


def test_two_builds_are_identical(project: Path) -> None:
    # Both anew: packages that a cached step installed may be older than today's.
    with (
        build(project, "--no-cache", name="first") as first,
        build(project, "--no-cache", name="second") as second,
    ):
        one, two = layers(first), layers(second)
    ours, theirs = (
        {name: set(repr(file).split(r"\n")) for name, file in contents(image).items()}
        for image in (one, two)
    )
    # Only the lines that differ, for the end of a log.
    assert {
        name: ours.get(name, set()) ^ theirs.get(name, set())
        for name in ours.keys() | theirs.keys()
        if ours.get(name) != theirs.get(name)
    } == {}
    assert [hashlib.sha256(layer).hexdigest() for layer in one] == [
        hashlib.sha256(layer).hexdigest() for layer in two
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        r"bin/(sh|ash|bash|busybox|apk|pip[0-9.]*|gcc|cc|ld)$",
        r"/site-packages/(pip|setuptools|pytest|pydevd|debugpy|mypy)",
        r"\.(po|h|c|a|pyx)$",
        r"^/app/(.*/)?tests?/",
        r"^/app/config/debugger\.py$",
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


def test_size_is_explained_to_the_byte(project: Path) -> None:
    shown = make(project, "size")
    with build(project, "--build-arg", "PYTHON_VERSION=3.14", name="3.14") as tag:
        total = 0
        for layer in layers(tag):
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                total += sum(member.size for member in archive)
    assert f"{total:,}   budget" in shown
    for part in ("libcrypto3", "libpython3.14", "django", "staticfiles"):
        assert part in shown
        assert part in (project / "image-size.html").read_text()


def test_over_its_budget_the_image_is_refused_and_what_grew_is_named(
    tmp_path: Path,
) -> None:
    project = generate(tmp_path, project_slug="slim_size")
    make(project, "size")
    record = project / "image-size.json"
    sizes = json.loads(record.read_text())
    sizes["dependencies django"] -= 1000
    record.write_text(json.dumps(sizes))
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text().replace("bytes = 48", "bytes = 20"))
    result = attempt(project, "size")
    assert result.returncode
    assert result.stderr.splitlines()[:2] == [
        "The image is over the budget in pyproject.toml. What grew:",
        "  dependencies django: +1,000",
    ]


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


def test_next_dependencies_install_and_work(tmp_path: Path) -> None:
    project = generate(tmp_path, project_slug="slim_next")
    environment(project, "5.2")
    with (project / "requirements/base.in").open("a") as requirements:
        requirements.write("\n".join(NEXT_DEPENDENCIES))
    make(project, "lock")
    with build(project, name="next") as tag:
        options = [f"--env=SECRET_KEY={SECRET}", "--env=DATABASE_URL=sqlite://:memory:"]
        run = ["docker", "run", "--rm", "--interactive", *RESTRICTED, *options]
        uses = subprocess.run(
            [*run, tag, "shell"],
            input=Path(__file__).with_name("next_dependencies.py").read_text(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert "all work" in uses.stdout, uses.stderr


@pytest.mark.parametrize(
    "modules",
    [
        "asyncio, concurrent.futures, multiprocessing",
        "bz2, lzma, zipfile, zlib",
        "ctypes, curses, readline",
        "dbm.gnu, dbm.ndbm, shelve, sqlite3",
        "encodings.big5, encodings.idna, encodings.shift_jis",
        "doctest, pdb, pydoc, unittest.mock",
        "venv, wsgiref.simple_server, xml.sax, xmlrpc.client",
        "django.contrib.postgres.fields, django.contrib.sitemaps",
    ],
)
def test_next_dependency_finds_its_modules(image: str, modules: str) -> None:
    docker("run", "--rm", "--entrypoint", "python3", image, "-c", f"import {modules}")


def test_time_zones_and_authorities_are_there(image: str) -> None:
    script = (
        "import ssl, zoneinfo; zoneinfo.ZoneInfo('Asia/Tokyo');"
        "assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 50"
    )
    docker("run", "--rm", "--entrypoint", "python3", image, "-c", script)


def test_make_builds_the_image_of_the_commit(project: Path) -> None:
    tag = f"{NAME}:made"
    make(project, "image", f"IMAGE={tag}")
    labels = json.loads(docker("image", "inspect", tag).stdout)[0]["Config"]["Labels"]
    docker("image", "rm", tag)
    assert labels["org.opencontainers.image.title"] == "slim-test"
