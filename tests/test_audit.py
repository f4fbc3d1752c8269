"""What the scan makes of vulnerable requirements, with pip-audit's part played."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from .conftest import generate

FINDING = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["9.9"]}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}
TOMORROW, TODAY = (
    (datetime.now(UTC) + timedelta(days=days)).date().isoformat() for days in (1, 0)
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated project."""
    return generate(tmp_path_factory.mktemp("audit"))


def audit(
    project: Path, folder: Path, output: str, ignored: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the audit, pip-audit printing that, with these lines in the ignore file."""
    program = folder / "pip-audit"
    program.write_text(f"#!{sys.executable}\nprint({output!r})\n")
    program.chmod(0o755)
    ignore = project / "pipeline/ignore.txt"
    original = ignore.read_text()
    ignore.write_text(f"{original}{ignored}")
    try:
        return subprocess.run(
            [sys.executable, "pipeline/audit.py"],
            cwd=project,
            env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        ignore.write_text(original)


def report(*findings: dict[str, object]) -> str:
    """What pip-audit prints of a package with these findings."""
    one = {"name": "tea", "version": "1.0", "vulns": findings}
    return json.dumps({"dependencies": [one]})


@pytest.mark.parametrize(
    ("output", "ignored"),
    [
        (report(), ""),
        (report(FINDING | {"fix_versions": []}), ""),
        (report(FINDING), f"\n# Not reached.\nPYSEC-2026-1 exp:{TOMORROW}\n"),
        (report(FINDING), f"\n# Not reached.\nCVE-2026-1 exp:{TOMORROW}\n"),
    ],
    ids=["none", "not mended yet", "ignored", "ignored by another name"],
)
def test_what_cannot_or_need_not_be_mended_passes(
    project: Path, tmp_path: Path, output: str, ignored: str
) -> None:
    result = audit(project, tmp_path, output, ignored)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "ignored",
    ["", f"\n# No longer.\nCVE-2026-1 exp:{TODAY}\n", f"\n# x\nCVE-1 exp:{TOMORROW}\n"],
    ids=["not ignored", "for too long", "another one"],
)
def test_what_can_be_mended_fails(project: Path, tmp_path: Path, ignored: str) -> None:
    result = audit(project, tmp_path, report(FINDING), ignored)
    assert result.returncode == 1
    assert "  tea 1.0: PYSEC-2026-1, fixed in 9.9" in result.stderr


def test_every_entry_to_ignore_needs_a_reason_and_a_day(
    project: Path, tmp_path: Path
) -> None:
    ignored = f"\nCVE-1 exp:{TOMORROW}\n\n# A reason.\nCVE-2\n"
    result = audit(project, tmp_path, report(), ignored)
    assert result.returncode == 2
    file = "pipeline/ignore.txt"
    number = len((project / file).read_text().splitlines())
    assert result.stderr.splitlines() == [
        f"{file}:{number + 2}: 'CVE-1 exp:{TOMORROW}' has no reason above it",
        f"{file}:{number + 5}: 'CVE-2' is not `ID exp:YYYY-MM-DD`",
    ]


@pytest.mark.parametrize(
    "output",
    ["", json.dumps({"dependencies": [UNKNOWN]})],
    ids=["no answer", "nothing found on PyPI"],
)
def test_a_list_that_cannot_be_reached_is_no_success(
    project: Path, tmp_path: Path, output: str
) -> None:
    assert audit(project, tmp_path, output).returncode == 3


def test_packages_that_nobody_else_knows_are_named(
    project: Path, tmp_path: Path
) -> None:
    known = json.loads(report())["dependencies"]
    output = json.dumps({"dependencies": [*known, UNKNOWN]})
    result = audit(project, tmp_path, output)
    assert result.returncode == 0
    assert result.stderr == "Not to be found on PyPI: ours\n"
    assert "1 packages" in result.stdout
