"""A project takes the template's changes with cruft, and keeps its owner's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PAYLOAD, commit, generate, git, template

CRUFT = Path(sys.executable).with_name("cruft")


def cruft(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a cruft command in a folder."""
    return subprocess.run(
        [CRUFT, *args], cwd=folder, capture_output=True, text=True, check=False
    )


def change(file: Path, before: str, after: str) -> None:
    """Change a line of a file."""
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template, to be changed."""
    folder = tmp_path_factory.mktemp("upstream") / "template"
    shutil.copytree(template(), folder)
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def project(upstream: Path) -> Path:
    """A project that cruft has made from it, changed by its owner."""
    made = cruft(upstream.parent, "create", str(upstream), "--no-input")
    assert made.returncode == 0, made.stdout + made.stderr
    project = upstream.parent / "my_service"
    commit(project)
    assert cruft(project, "check").returncode == 0
    change(project / "src/config/settings.py", 'TIME_ZONE = "UTC"', 'TIME_ZONE = "CET"')
    change(project / "src/static/site.css", "body {", "body { /* ours */")
    commit(project)
    return project


@pytest.fixture(scope="module")
def secret(project: Path) -> str:
    """The project's secret, before anything is updated."""
    return (project / ".env").read_text()


@pytest.fixture(scope="module")
def updated(project: Path, secret: str, upstream: Path) -> Path:
    """The project after the template has changed, in other lines and in the same."""
    payload = upstream / PAYLOAD.name
    (payload / "docs").mkdir()
    (payload / "docs/new.md").write_text("New.\n")
    change(payload / "src/config/settings.py", '"en-us"', '"en-gb"')
    change(payload / "src/static/site.css", "body {", "body { /* theirs */")
    commit(upstream)
    assert cruft(project, "check").returncode == 1
    update = cruft(project, "update", "--skip-apply-ask")
    assert update.returncode == 0, update.stdout + update.stderr
    return project


def test_update_brings_what_is_new(updated: Path) -> None:
    assert (updated / "docs/new.md").read_text() == "New.\n"


def test_update_keeps_the_owners_lines_beside_new_ones(updated: Path) -> None:
    settings = (updated / "src/config/settings.py").read_text()
    assert 'LANGUAGE_CODE = "en-gb"' in settings
    assert 'TIME_ZONE = "CET"' in settings


def test_update_marks_what_both_have_changed(updated: Path) -> None:
    style = (updated / "src/static/site.css").read_text()
    assert "<<<<<<< ours\nbody { /* ours */\n=======\nbody { /* theirs */\n" in style
    assert "UU src/static/site.css" in git(updated, "status", "--short")


def test_update_changes_no_secret(updated: Path, secret: str) -> None:
    assert (updated / ".env").read_text() == secret


def test_after_the_update_the_project_is_current(updated: Path) -> None:
    assert cruft(updated, "check").returncode == 0


def test_a_project_of_cookiecutter_can_be_linked(tmp_path: Path) -> None:
    upstream = tmp_path / "template"
    shutil.copytree(template(), upstream)
    commit(upstream)
    project = generate(tmp_path, ci="gitlab")
    commit(project)
    answers = json.dumps({"ci": "gitlab"})
    link = ["link", str(upstream), "--no-input", f"--extra-context={answers}"]
    linked = cruft(project, *link)
    assert linked.returncode == 0, linked.stdout + linked.stderr
    assert cruft(project, "check").returncode == 0
    # Made from the same template, it differs from it in nothing but its secret.
    assert cruft(project, "diff", "--exit-code").returncode == 0
