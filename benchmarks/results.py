"""What a run has measured so far, kept in a file so that the next run goes on."""

import json
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.containers.conftest import docker, why_no_docker

from .images import Row

FOLDER = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the figures are measured on."""
    if why_no_docker():
        return {}
    info = json.loads(docker("info", "--format", "{{json .}}").stdout)
    cpuinfo = Path("/proc/cpuinfo")
    known = cpuinfo.read_text() if cpuinfo.exists() else ""
    cpu = re.search(r"model name\s*: (.+)", known)
    return {
        "cpu": cpu[1] if cpu else platform.processor(),
        "cpus": info["NCPU"],
        "memory_gb": round(info["MemTotal"] / 1e9),
        "architecture": info["Architecture"],
        "kernel": info["KernelVersion"],
        "docker": info["ServerVersion"],
        "storage_driver": info["Driver"],
    }


def template() -> str:
    """The commit of the template, marked if something was changed since."""
    git = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip()


class Results:
    """Figures of images: a list of values each, one a round, or why there are none."""

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        """Go on with the run in that file if it is of the same template and options."""
        self.path = path
        self.run = {"template": template(), "options": options}
        if path.exists():
            known = json.loads(path.read_text())
            if all(known[key] == value for key, value in self.run.items()):
                self.run = known
                return
        self.run |= {
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "machine": machine(),
            "done": [],
            "images": {},
        }

    def done(self, *step: object) -> bool:
        """Whether this step has been taken."""
        return list(step) in self.run["done"]

    def image(self, name: str, **about: str) -> dict[str, Any]:
        """What is known of an image."""
        known = self.run["images"].setdefault(name, {"figures": {}})
        known |= about
        return known["figures"]

    def add(self, name: str, figures: dict[str, float]) -> None:
        """Take in the figures of an image."""
        known = self.image(name)
        for figure, value in figures.items():
            known.setdefault(figure, []).append(value)

    def lack(self, row: Row, figures: list[str], reason: str) -> None:
        """Remember why an image will have no such figures."""
        self.image(row.name, title=row.title).update(dict.fromkeys(figures, reason))

    def save(self, *step: object) -> None:
        """Write all to the file, the step being taken."""
        self.run["done"].append(list(step))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.run, indent=1))
        new.replace(self.path)

    def keep(self) -> Path:
        """Move the run, which is complete, to the results of all runs."""
        del self.run["done"]
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{self.run['date'][:16].replace(':', '')}.json"
        path.write_text(json.dumps(self.run, indent=1, ensure_ascii=False) + "\n")
        self.path.unlink()
        return path


def kept() -> list[dict[str, Any]]:
    """All complete runs, oldest first."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
