"""Fixtures that several tests use."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

SRC = Path(__file__).parent.parent / "src"
PRODUCTION = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "DATABASE_URL": "sqlite:///db.sqlite3",
}


@pytest.fixture
def production(tmp_path: Path) -> Run:
    """Runs Python in a copy of src/, with no settings but those of PRODUCTION."""
    shutil.copytree(SRC, tmp_path / "src")

    def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [sys.executable, *args],
            cwd=tmp_path / "src",
            env={"PATH": os.environ["PATH"], **PRODUCTION, **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
