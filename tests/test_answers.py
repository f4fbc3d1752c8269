"""Answers: good ones are taken, bad ones refused before anything is written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

from .conftest import PAYLOAD, ROOT, generate, template

sys.path.insert(0, str(ROOT))
from hooks.pre_gen_project import IMPORTED

IMPORT_NAMES = {
    "boolean-py": "boolean",
    "cyclonedx-python-lib": "cyclonedx",
    "django-csp": "csp",
    "markdown-it-py": "markdown_it",
    "packageurl-python": "packageurl",
    "python-dotenv": "dotenv",
    "python-json-logger": "pythonjsonlogger",
    "pip-tools": "piptools",
    "types-pyyaml": "yaml",
}
GOOD = [
    ("project_name", "x"),
    ("project_name", "ü" * 60),
    ("project_name", "服务"),
    ("project_name", "***"),
    ("project_name", "42 things"),
    ("project_name", 'O\'Brien & "Söhne" <test> {{x}} ${HOME}'),
    ("project_slug", "a"),
    ("project_slug", "a" * 40),
    ("project_slug", "a_"),
    ("project_slug", "a__9"),
    ("domain_name", "a.b"),
    ("domain_name", "xn--sdkaf.example"),
    ("image_repository", "app"),
    ("image_repository", "localhost:5000/a/b__c-d.e"),
]
BAD = [
    ("project_name", ""),
    ("project_name", " "),
    ("project_name", " x"),
    ("project_name", "x" * 61),
    ("project_name", "a\nb"),
    ("project_name", "a\x00b"),
    ("project_name", "a\u202eb"),
    ("project_slug", ""),
    ("project_slug", "Service"),
    ("project_slug", "1a"),
    ("project_slug", "_a"),
    ("project_slug", "a-b"),
    ("project_slug", "a/b"),
    ("project_slug", "../b"),
    ("project_slug", "/tmp/b"),
    ("project_slug", "größe"),
    ("project_slug", "a" * 41),
    ("project_slug", "a" * 400),
    ("project_slug", "a\x00b"),
    ("project_slug", "class"),
    ("project_slug", "match"),
    ("project_slug", "email"),
    ("project_slug", "django"),
    ("project_slug", "psycopg2"),
    ("project_slug", "users"),
    ("project_slug", "config"),
    ("domain_name", ""),
    ("domain_name", "a b"),
    ("domain_name", "localhost"),
    ("domain_name", "a..b"),
    ("domain_name", "-a.b"),
    ("domain_name", "a.b\n"),
    ("domain_name", "http://a.b"),
    ("domain_name", f"{'a' * 64}.b"),
    ("image_repository", ""),
    ("image_repository", "App"),
    ("image_repository", "a:tag"),
    ("image_repository", "a//b"),
    ("image_repository", "a b"),
]


@pytest.mark.parametrize(("question", "answer"), GOOD)
def test_good_answer_is_taken(tmp_path: Path, question: str, answer: str) -> None:
    assert (generate(tmp_path, **{question: answer}) / "Makefile").exists()


@pytest.mark.parametrize(("question", "answer"), BAD)
def test_bad_answer_is_refused(tmp_path: Path, question: str, answer: str) -> None:
    with pytest.raises(FailedHookException) as refused:
        generate(tmp_path, **{question: answer})
    assert f"{question}: " in str(refused.value)
    assert not list(tmp_path.iterdir())


def cli(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command `cookiecutter` in the folder."""
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", template(), "--no-input", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_problems_are_reported_at_once_and_nothing_else(tmp_path: Path) -> None:
    result = cli(tmp_path, "project_name=a\nb", "project_slug=class", "domain_name=a b")
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "project_name: 'a\\nb' contains a control character or another that cannot be "
        "printed, unlike 'My Service'",
        "project_slug: 'class' is a Python keyword, unlike 'my_service'",
        "domain_name: 'a b' is not a valid host name in lower case, "
        "unlike 'my-service.example.com'",
    ]
    assert result.stderr == ""
    assert not list(tmp_path.iterdir())


def test_names_of_the_packages_in_src_are_refused() -> None:
    packages = {path.name for path in (PAYLOAD / "src").iterdir() if path.is_dir()}
    assert packages <= IMPORTED


@pytest.mark.parametrize("django_version", ["5.2", "6.1"])
def test_names_of_locked_packages_are_refused(django_version: str) -> None:
    lock = (
        PAYLOAD / f"choices/django_version/{django_version}/requirements/dev.txt"
    ).read_text()
    names = re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE)
    modules = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}
    assert modules <= IMPORTED


def test_six_questions_at_most_each_explained() -> None:
    context = json.loads((ROOT / "cookiecutter.json").read_text())
    questions = {name for name in context if not name.startswith("_")}
    assert len(questions) <= 6
    assert context["__prompts__"].keys() == questions


def test_name_that_looks_like_a_template_is_text(tmp_path: Path, monkeypatch) -> None:
    name = "<< 7 * 7 >> <% x %> <# y #>"
    answers = iter([name, "typed", "a.b", "app"])
    monkeypatch.setattr(
        "cookiecutter.prompt.read_user_variable", lambda *args: next(answers)
    )
    monkeypatch.setattr(
        "cookiecutter.prompt.read_user_choice", lambda _, options, *args: options[0]
    )
    project = Path(cookiecutter(template(), output_dir=str(tmp_path)))
    assert (
        f'PROJECT_NAME = "{name}"' in (project / "src/config/settings.py").read_text()
    )


def test_replay_from_before_a_question_is_refused(tmp_path: Path) -> None:
    context = json.loads((ROOT / "cookiecutter.json").read_text())
    context["domain_name"] = "<< cookiecutter.__dns_name >>.example.com"
    replay = tmp_path / "replay.json"
    context |= {"project_name": "x", "project_slug": "x", "django_version": "5.2"}
    context |= {"__dns_name": "x", "__project_name_literal": '"x"'}
    del context["__prompts__"]
    replay.write_text(json.dumps({"cookiecutter": context}))
    output = tmp_path / "output"
    output.mkdir()
    with pytest.raises(FailedHookException):
        cookiecutter(template(), replay=str(replay), output_dir=str(output))
    assert not list(output.iterdir())
