"""Locked requirements fit what people asked for; `make lock` mends a failure here."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parent.parent / "requirements"
NAMES = ["base", "prod", "test", "dev"]


def asked(name: str) -> list[Requirement]:
    """The requirements of an `.in` file and of those it includes."""
    lines = (FOLDER / f"{name}.in").read_text().splitlines()
    requirements = []
    for line in lines:
        if line.startswith("-r "):
            requirements += asked(line.removeprefix("-r ").removesuffix(".in"))
        elif line and not line.startswith(("#", "-")):
            requirements.append(Requirement(line.split(" #")[0]))
    return requirements


def locked(name: str) -> dict[str, str]:
    """The versions in a `.txt` file, by name."""
    text = (FOLDER / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", text, re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_lock_satisfies_what_was_asked_for(name: str) -> None:
    versions = locked(name)
    for requirement in asked(name):
        version = versions[canonicalize_name(requirement.name)]
        assert version in requirement.specifier


@pytest.mark.parametrize("name", NAMES)
def test_lock_has_hashes(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    blocks = re.findall(r"^\S+==.*(?:\n .*)*", text, re.MULTILINE)
    assert len(blocks) == len(locked(name))
    assert all("--hash=sha256:" in block for block in blocks)


def test_locks_agree_with_each_other() -> None:
    everything = locked("dev")
    for name in NAMES:
        assert locked(name).items() <= everything.items()
