"""What is generated: whole, clean, and nothing of the template left in it."""

import filecmp
import json
import re
import secrets
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import CHOICES, COMBINATIONS, Answers, generate, template


@pytest.fixture(params=COMBINATIONS, ids=lambda answers: "-".join(answers.values()))
def answers(request: pytest.FixtureRequest) -> Answers:
    """Each combination of choices in turn."""
    return request.param


def texts(project: Path) -> dict[str, str]:
    """All generated files, by their path in the project."""
    return {
        str(path.relative_to(project)): path.read_text()
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".venv" not in path.parts
    }


def test_nothing_of_the_template_is_left(project: Path) -> None:
    for name, text in texts(project).items():
        assert not re.search(r"<<|<%|<#|cookiecutter", name + text), name


def test_files_end_with_one_newline_and_lines_without_blanks(project: Path) -> None:
    for name, text in texts(project).items():
        assert not text or re.search(r"[^\n]\n\Z", text), name
        assert not re.search(r"[ \t\r]$", text, re.MULTILINE), name
        assert "\r" not in text, name


@pytest.mark.parametrize(
    ("suffix", "parse"),
    [
        (".py", lambda text: compile(text, "generated", "exec")),
        (".yaml", lambda text: list(yaml.safe_load_all(text))),
        (".toml", tomllib.loads),
        (".json", json.loads),
    ],
)
def test_files_can_be_parsed(
    project: Path, suffix: str, parse: Callable[[str], object]
) -> None:
    for name, text in texts(project).items():
        if name.endswith(suffix):
            parse(text)


def test_only_the_chosen_locks_are_there(project: Path) -> None:
    names = {path.name for path in (project / "requirements").iterdir()}
    layers = ("base", "prod", "test", "dev")
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("in", "txt")}


def test_chosen_django_is_locked(project: Path, answers: Answers) -> None:
    lock = (project / "requirements" / "base.txt").read_text()
    assert f"\ndjango=={answers['django_version']}." in lock


def test_locks_name_no_machine(project: Path) -> None:
    for path in (project / "requirements").glob("*.txt"):
        assert not re.search(r"://|--find-links|--index-url", path.read_text())


def test_two_projects_differ_in_their_secret_only(
    tmp_path: Path, answers: Answers
) -> None:
    (tmp_path / "b").mkdir()
    first = generate(tmp_path, **answers)
    second = generate(tmp_path / "b", **answers)
    names = list(texts(first))
    assert names == list(texts(second))
    _, differing, errors = filecmp.cmpfiles(first, second, names, shallow=False)
    assert (differing, errors) == ([".env"], [])


def test_env_holds_a_secret_for_its_owner_only(project: Path) -> None:
    env = project / ".env"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    (secret,) = re.findall(r"^SECRET_KEY=(\S+)$", env.read_text(), re.MULTILINE)
    assert len(secret) >= len(secrets.token_urlsafe(50))


def test_generating_again_keeps_the_secret(tmp_path: Path) -> None:
    env = generate(tmp_path) / ".env"
    before = env.read_text()
    subprocess.run(
        [sys.executable, "-m", "cookiecutter", template(), "--no-input", "-f"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert env.read_text() == before


def test_git_takes_neither_secret_nor_ignored_file(tmp_path: Path) -> None:
    project = generate(tmp_path)
    generated = set(texts(project)) - {".env"}
    for name in (".venv/bin/python", "db.sqlite3", "src/__pycache__/a.pyc"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    git = ["git", "-c", "core.excludesFile=", "-C", str(project)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    listed = subprocess.run(
        [*git, "ls-files"], check=True, capture_output=True, text=True
    )
    assert set(listed.stdout.splitlines()) == generated


def test_generation_starts_no_program_and_needs_no_network() -> None:
    for name in ("pre_gen_project", "post_gen_project"):
        hook = (Path(template()) / "hooks" / f"{name}.py").read_text()
        imported = set(re.findall(r"^(?:import|from) (\w+)", hook, re.MULTILINE))
        assert not imported & {"subprocess", "socket", "urllib", "http", "requests"}


def test_combinations_are_all_the_choices() -> None:
    context = json.loads((Path(template()) / "cookiecutter.json").read_text())
    questions = {name: value for name, value in context.items() if name[0] != "_"}
    choices = {name: a for name, a in questions.items() if isinstance(a, list)}
    assert choices == CHOICES


@pytest.mark.parametrize(
    ("ci", "files"),
    [
        ("github", {".github/workflows/pipeline.yaml", ".github/dependabot.yml"}),
        ("gitlab", {".gitlab-ci.yml", "renovate.json"}),
        ("none", set()),
    ],
)
def test_only_the_chosen_pipeline_is_there(
    tmp_path: Path, ci: str, files: set[str]
) -> None:
    names = set(texts(generate(tmp_path, ci=ci)))
    assert {
        name for name in names if re.search("github|gitlab|renovate", name)
    } == files
    assert not any(name.startswith("choices/") for name in names)
