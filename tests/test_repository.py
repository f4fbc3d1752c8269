"""The two commands of the README, from a clean clone of what is committed."""

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import PAYLOAD, ROOT, attempt, free_port
from .test_project import PAGES, serving, status


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository, with nothing but what is committed."""
    folder = tmp_path_factory.mktemp("clone") / "slim-django"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    return folder


def test_demo_serves_and_names_its_port_when_taken(clone: Path) -> None:
    port = free_port()
    with serving(clone, "make", "demo", port=port) as address:
        for page in PAGES:
            assert status(address + page) == 200
        again = attempt(clone, "demo", f"PORT={port}")
    assert again.returncode != 0
    assert "That port is already in use" in again.stderr
    assert "pip install" not in again.stdout


def test_readme_shows_the_questions() -> None:
    readme = (ROOT / "README.md").read_text()
    prompts = json.loads((ROOT / "cookiecutter.json").read_text())["__prompts__"]
    for prompt in prompts.values():
        labels = prompt.values() if isinstance(prompt, dict) else [prompt]
        for label in labels:
            assert label in readme


def committed() -> list[str]:
    """The paths of all files that git tracks."""
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return files.stdout.splitlines()


@pytest.mark.parametrize(
    ("name", "locks"),
    [
        ("Makefile", 1),
        (f"{PAYLOAD.name}/Makefile", 1),
        (f"{PAYLOAD.name}/Dockerfile", 2),
    ],
)
def test_locks_are_installed_as_they_are(name: str, locks: int) -> None:
    # pip 23, if it resolves, refuses a lock once an extra's package has a new release.
    text = (ROOT / name).read_text()
    assert text.count("--no-deps --require-hashes") == locks
    assert text.count("--require-hashes") == locks


def test_only_pictures_are_binary() -> None:
    binary = {name for name in committed() if b"\0" in (ROOT / name).read_bytes()}
    assert {name for name in binary if not name.startswith("docs/images/")} == set()


def test_nothing_names_a_machine() -> None:
    for name in committed():
        content = (ROOT / name).read_bytes()
        for trace in (b"/opt/" + b"wheels", b"/work/" + b"main", b"find-" + b"links /"):
            assert trace not in content, name
