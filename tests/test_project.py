"""The generated project's own commands, on this machine and without Docker."""

import html
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import (
    Answers,
    attempt,
    clean_environ,
    environment,
    free_port,
    generate,
    make,
)

AWKWARD = 'O\'Brien & "Söhne" <test> {{x}} ${HOME}'


@pytest.fixture
def fresh(tmp_path: Path, answers: Answers) -> Path:
    """A new project that can be changed."""
    project = generate(tmp_path, **answers)
    environment(project, answers["django_version"])
    return project


def test_its_lint_and_tests_pass(fresh: Path) -> None:
    make(fresh, "lint")
    make(fresh, "test")
    make(fresh, "test", "ARGS=-k health")


def test_awkward_name_is_only_text(tmp_path: Path) -> None:
    project = generate(tmp_path, project_name=AWKWARD)
    environment(project, "5.2")
    make(project, "lint")
    make(project, "test")


def test_help_lists_every_target(fresh: Path) -> None:
    targets = re.findall(r"^\.PHONY: (\S+)$", (fresh / "Makefile").read_text(), re.M)
    for target in targets:
        assert re.search(rf"^make {target}\s+\S", make(fresh), re.M)


def test_readme_names_commands_that_exist(fresh: Path) -> None:
    readme = (fresh / "README.md").read_text()
    makefiles = [*fresh.glob("Makefile"), *fresh.glob("*/Makefile")]
    targets = "".join(file.read_text() for file in makefiles)
    for target in set(re.findall(r"\bmake ([a-z0-9-]+)", readme)):
        assert f".PHONY: {target}\n" in targets
        assert re.search(rf"^make {target}\s+\S", make(fresh), re.M)


@contextmanager
def serving(folder: Path, *command: str, port: int) -> Iterator[str]:
    """The address at which the command serves, until it is interrupted by Ctrl-C."""
    process = subprocess.Popen(
        [*command, f"PORT={port}"],
        cwd=folder,
        env=clean_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise AssertionError(process.stdout.read())
            try:
                status(f"{address}/livez")
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)


def status(address: str) -> int:
    """The status with which the address answers."""
    with urllib.request.urlopen(address, timeout=10) as response:
        return response.status


PAGES = ("/", "/livez", "/readyz", "/startupz", "/admin/login/", "/static/site.css")


def test_lock_names_everything_that_its_packages_need(fresh: Path) -> None:
    subprocess.run([fresh / ".venv/bin/pip", "check"], check=True)


def test_local_serves_and_its_neighbour_commands_work(fresh: Path) -> None:
    with serving(fresh, "make", "local", port=free_port()) as address:
        for page in PAGES:
            assert status(address + page) == 200
    assert "No changes detected" in make(fresh, "migrations")
    make(fresh, "shell")
    make(fresh, "format")


def test_browser_shows_the_name_and_the_policy_refuses_nothing(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no chromium to look at the pages with")
    project = generate(tmp_path, project_name=AWKWARD)
    environment(project, "5.2")
    options = (
        "--headless --no-sandbox --disable-gpu --no-first-run --enable-logging=stderr"
    )
    with serving(project, "make", "local", port=free_port()) as address:
        for page, text in (
            ("/", html.escape(AWKWARD, quote=False)),
            ("/admin/", "login"),
        ):
            shown = subprocess.run(
                [chromium, *options.split(), "--disable-background-networking"]
                + [
                    f"--user-data-dir={tmp_path}/chromium",
                    "--dump-dom",
                    address + page,
                ],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            assert text in shown.stdout
            assert "Content Security Policy" not in shown.stderr


def test_lock_changes_nothing_that_is_locked(tmp_path: Path) -> None:
    project = generate(tmp_path)
    environment(project, "5.2")
    locks = sorted((project / "requirements").glob("*.txt"))
    # Not the comments: who needs a package differs between versions of Python.
    pins = re.compile(r"^ *[^# \n].*", re.MULTILINE)
    before = [pins.findall(lock.read_text()) for lock in locks]
    make(project, "lock")
    assert [pins.findall(lock.read_text()) for lock in locks] == before
    # The environment is shared with other tests: keep make from installing into it.
    installed = project / ".venv" / "installed"
    installed.touch()
    make(project, "upgrade")
    installed.touch()
    make(project, "test", "ARGS=tests/test_requirements.py")


def test_superuser_is_created(fresh: Path) -> None:
    subprocess.run(
        ["make", "superuser", "ARGS=--noinput --username ada --email ada@example.com"],
        cwd=fresh,
        env={**clean_environ(), "DJANGO_SUPERUSER_PASSWORD": "correct horse battery"},
        check=True,
        capture_output=True,
    )


def test_port_in_use_is_a_clear_error(fresh: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        result = attempt(fresh, "local", f"PORT={listener.getsockname()[1]}")
    assert result.returncode != 0
    assert "That port is already in use" in result.stderr + result.stdout


def test_env_is_written_anew_in_a_clone(fresh: Path) -> None:
    (fresh / ".env").unlink()
    make(fresh, ".env")
    assert re.search(r"^SECRET_KEY=\S{50,}$", (fresh / ".env").read_text(), re.M)


def test_no_suitable_python_is_a_clear_error(tmp_path: Path) -> None:
    project = generate(tmp_path)
    result = attempt(project, "test", "PYTHON=")
    assert result.returncode != 0
    assert "No Python 3.11 or newer with venv found" in result.stderr
