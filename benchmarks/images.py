"""The images that are compared: how they are built, and what is in them."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from tests.conftest import PAYLOAD
from tests.containers.conftest import MEGABYTE, docker

DOCKERFILES = Path(__file__).parent / "dockerfiles"
VERSIONS = ("3.13", "3.14")
"""Of Python, the first preferred: later ones where there is no base image of it."""


class NotAvailable(Exception):  # noqa: N818
    """A figure cannot be had on this machine; says why."""


@dataclass(frozen=True)
class Row:
    """An image: its name in `--only`, its title, its base, and how it is built."""

    name: str
    title: str
    base: str
    """Its base image, but for the version of Python."""
    dockerfile: Path | None = None
    target: str | None = None

    @cached_property
    def python(self) -> str:
        """The version of Python with which its base image can be had here."""
        for version in VERSIONS:
            for command in ("image inspect", "pull --quiet"):
                image = self.base.format(version)
                if not docker(*command.split(), image, check=False).returncode:
                    return version
        wanted = " or ".join(self.base.format(version) for version in VERSIONS)
        raise NotAvailable(f"there is no base image {wanted} here")

    @property
    def tag(self) -> str:
        """The image's name."""
        return f"slim-bench:{self.name}"

    def build(self, project: Path, *args: str) -> None:
        """Build the image of a project."""
        command = ["build", "--progress=plain", "--tag", self.tag, *args]
        if self.dockerfile:
            base = self.base.format(self.python)
            command += ["--file", str(self.dockerfile), "--build-arg", f"BASE={base}"]
        else:
            command += ["--build-arg", f"PYTHON_VERSION={self.python}"]
        if self.target:
            command += ["--target", self.target]
        docker(*command, str(project))


def rows() -> list[Row]:
    """The article's five images, and the template's two."""
    dockerfile = (PAYLOAD / "Dockerfile").read_text()
    alpine = re.search(r"^ARG ALPINE_VERSION=(.+)$", dockerfile, re.M)
    on_alpine = f"python:{{}}-alpine{alpine[1]}"
    named = {file.name[0]: file for file in DOCKERFILES.glob("*.Dockerfile")}
    article = [
        Row("1", "1 Debian", "python:{}", named["1"]),
        Row("2", "2 Debian, lists removed", "python:{}", named["2"]),
        Row("3", "3 Alpine", on_alpine, named["3"]),
        Row("4", "4 Alpine, build dependencies removed", on_alpine, named["4"]),
        Row("5", "5 Alpine, multi-stage", on_alpine, named["5"]),
    ]
    ours = [
        Row(name, f"slim-django, {name}", on_alpine, target=name)
        for name in ("prod", "dev")
    ]
    return article + ours


@dataclass
class Contents:
    """What the layers of an image add up to."""

    layers: list[tuple[str, int]] = field(default_factory=list)
    """What tells each layer apart, and its bytes as pushed."""
    files: dict[str, int] = field(default_factory=dict)
    """The mode of each file, by its path."""
    system: set[str] = field(default_factory=set)
    """Packages of Alpine or Debian."""

    def add(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        """Take in one entry of a layer, or take away what the entry removes."""
        folder, _, name = member.name.removeprefix("./").rpartition("/")
        path = f"{folder}/{name}"
        if name.startswith(".wh."):
            removed = f"{folder}/{name.removeprefix('.wh.')}"
            for known in list(self.files):
                if known == removed or known.startswith(f"{removed}/"):
                    del self.files[known]
        elif member.isfile() or member.islnk() or member.issym():
            self.files[path] = member.mode if member.isfile() else 0
        if content and path in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
            self.system = set(re.findall(r"^P:(.+)$", content.read().decode(), re.M))
        if content and path == "var/lib/dpkg/status":
            status = content.read().decode()
            self.system = set(re.findall(r"^Package: (.+)$", status, re.M))

    def figures(self) -> dict[str, float]:
        """The figures of a table."""
        modes = self.files.values()
        return {
            "pushed": sum(size for _, size in self.layers) / MEGABYTE,
            "layers": len(self.layers),
            "files": len(modes),
            "executables": sum(bool(mode & 0o111) for mode in modes),
            "setuid files": sum(bool(mode & 0o6000) for mode in modes),
            "system packages": len(self.system),
            "Python distributions": sum(
                path.endswith(".dist-info/METADATA") for path in self.files
            ),
        }


compressed: dict[str, int] = {}


def as_pushed(layer: IO[bytes]) -> tuple[str, int]:
    """What tells a layer apart, and its bytes as compressed for a registry."""
    digest = hashlib.sha256()
    while chunk := layer.read(MEGABYTE):
        digest.update(chunk)
    layer.seek(0)
    name = digest.hexdigest()
    if name not in compressed:
        with tempfile.TemporaryFile() as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as zipped:
                while chunk := layer.read(MEGABYTE):
                    zipped.write(chunk)
            compressed[name] = file.tell()
        layer.seek(0)
    return name, compressed[name]


def contents(image: str) -> Contents:
    """What is in an image."""
    found = Contents()
    with tempfile.TemporaryFile() as saved:
        subprocess.run(["docker", "save", image], stdout=saved, check=True)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as archive:
            (manifest,) = json.load(archive.extractfile("manifest.json"))
            for name in manifest["Layers"]:
                layer = archive.extractfile(name)
                found.layers.append(as_pushed(layer))
                with tarfile.open(fileobj=layer) as members:
                    for member in members:
                        file = member.isfile()
                        content = members.extractfile(member) if file else None
                        found.add(member, content)
    return found


def pushed_again(before: Contents, image: str) -> float:
    """Megabytes of an image's layers that a registry with the one before lacks."""
    new = dict(contents(image).layers).items() - dict(before.layers).items()
    return sum(size for _, size in new) / MEGABYTE


def size(image: str) -> float:
    """Megabytes of an image, as `docker image inspect` tells them."""
    return int(docker("image", "inspect", "-f", "{{.Size}}", image).stdout) / MEGABYTE


def locked(project: Path, package: str) -> str:
    """The lines that lock a package in a project."""
    lock = (project / "requirements/prod.txt").read_text()
    return re.search(rf"^{package}==\S+(?: \\\n    --hash=\S+)+", lock, re.M)[0]


def before(lines: str) -> str:
    """The lines that lock the release before the one of these lines."""
    package, version = lines.split()[0].split("==")
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command = [*download, "--dest", folder, f"{package}<{version}"]
        if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
            raise NotAvailable(f"no release of {package} before {version} to be had")
        (file,) = Path(folder).iterdir()
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        version = file.name.split("-")[1]
    return f"{package}=={version} \\\n    --hash=sha256:{digest}"
