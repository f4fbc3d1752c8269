"""The oldest cookiecutter that works does, and older ones say what is wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from .conftest import CACHE, ROOT, clean_environ, template


def installed(version: str) -> Path:
    """The command of that version, in an environment made once and kept."""
    kept = CACHE / f"cookiecutter-{version}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):
        if not (kept / "installed").exists():
            shutil.rmtree(kept, ignore_errors=True)
            for command in (
                [sys.executable, "-m", "venv", kept],
                [kept / "bin/pip", "install", "-q", f"cookiecutter=={version}"],
            ):
                subprocess.run(command, check=True, env=clean_environ())
            (kept / "installed").touch()
    return kept / "bin/cookiecutter"


def run(version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Generate the default project with that version."""
    return subprocess.run(
        [installed(version), template(), "--no-input"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_oldest_version_generates(tmp_path: Path) -> None:
    result = run("2.6.0", tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "my_service" / ".env").exists()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("2.5.0", "slim-django needs cookiecutter 2.6 or newer, this is 2.5.0."),
        ("2.3.1", "slim-django needs cookiecutter 2.6 or newer."),
        ("1.7.3", "Unable to load extension: No module named 'hooks'"),
    ],
)
def test_older_version_is_told(tmp_path: Path, version: str, message: str) -> None:
    result = run(version, tmp_path)
    assert result.returncode != 0
    assert message in result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())
    if version.startswith("1."):
        assert message in (ROOT / "README.md").read_text()
