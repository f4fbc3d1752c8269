"""Fixtures: generated projects, and virtual environments that can run them."""

import atexit
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter
from filelock import FileLock

ROOT = Path(__file__).parent.parent
PAYLOAD = ROOT / "<<cookiecutter.project_slug>>"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "slim-django"
CHOICES = {"django_version": ["5.2", "6.1"], "ci": ["github", "gitlab", "none"]}
COMBINATIONS = [
    dict(zip(CHOICES, chosen, strict=True)) for chosen in product(*CHOICES.values())
]
VERSIONS = COMBINATIONS[::4]
"""Each Django version, and both kinds of pipeline."""
OLDEST_PYTHON = {"5.2": (3, 11), "6.1": (3, 12)}

SECRET = "0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdef"
# Run in a container: kills a process that serves; the first one is their parent.
KILL_WORKER = (
    "import os, signal; pids = [int(p) for p in os.listdir('/proc') "
    "if p.isdigit() and int(p) not in (1, os.getpid())]; "
    "os.kill(min(pids), signal.SIGKILL)"
)

Generate = Callable[..., Path]
Answers = dict[str, str]


@cache
def template() -> str:
    """A copy of what makes the template, without environments and caches beside it.

    cookiecutter copies the whole folder each time, for the hook `pre_prompt`.
    """
    folder = Path(tempfile.mkdtemp(prefix="template-"))
    atexit.register(shutil.rmtree, folder)
    shutil.copy(ROOT / "cookiecutter.json", folder)
    for name in ("hooks", PAYLOAD.name, "{{cookiecutter.__cruft}}"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return str(folder)


@pytest.fixture(scope="session", autouse=True)
def _cookiecutter_config(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps cookiecutter's replay files and the user's defaults out of the tests."""
    folder = tmp_path_factory.mktemp("cookiecutter")
    config = folder / "config.yaml"
    config.write_text(f"replay_dir: {folder}\ncookiecutters_dir: {folder}\n")
    os.environ["COOKIECUTTER_CONFIG"] = str(config)
    # cookiecutter leaves temporary files behind when a hook refuses.
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def generate(folder: Path, **answers: str) -> Path:
    """Generate a project into the folder, all other answers being the defaults."""
    path = cookiecutter(
        template(), no_input=True, extra_context=answers, output_dir=str(folder)
    )
    return Path(path)


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Answers], Path]:
    """Projects of answers, each generated once, with an environment where possible."""

    @cache
    def project(answers: tuple[tuple[str, str], ...]) -> Path:
        return generate(tmp_path_factory.mktemp("project"), **dict(answers))

    return lambda answers: project(tuple(answers.items()))


@pytest.fixture(params=VERSIONS, ids=lambda answers: "-".join(answers.values()))
def answers(request: pytest.FixtureRequest) -> Answers:
    """The answers of each project that is tried."""
    return request.param


@pytest.fixture
def project(projects: Callable[[Answers], Path], answers: Answers) -> Path:
    """The project of each combination, not to be changed."""
    return projects(answers)


def pythons(oldest: tuple[int, int]) -> list[str]:
    """The Pythons here that are not older, oldest first."""
    names = [f"python3.{minor}" for minor in range(oldest[1], 15)]
    works = "import ensurepip"
    return [
        name
        for name in names
        if shutil.which(name)
        and not subprocess.run(
            [name, "-c", works], capture_output=True, check=False
        ).returncode
    ]


def kept(name: str, lock: Path, python: str, fill: Callable[[Path], None]) -> Path:
    """A folder for what a lock and a Python are made into once, and kept."""
    key = hashlib.sha256(lock.read_bytes() + python.encode()).hexdigest()[:16]
    folder = CACHE / f"{name}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{name}.lock"):
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            (folder / "installed").touch()
    return folder


def environment(project: Path, django_version: str) -> None:
    """Give the project a `.venv` with its test requirements, made once and kept.

    Django 5.2 gets the oldest Python here, 6.1 the newest, to try the locks on both.
    """
    found = pythons(OLDEST_PYTHON[django_version])
    if not found:
        minor = OLDEST_PYTHON[django_version][1]
        pytest.skip(
            f"no Python 3.{minor} or newer, which Django {django_version} needs"
        )
    python = found[0 if django_version == "5.2" else -1]
    lock = project / "requirements" / "test.txt"

    def install(folder: Path) -> None:
        (folder / "requirements").mkdir()
        shutil.copy(lock, folder / "requirements")
        for makefile in ("Makefile", "k8s/Makefile", "pipeline/Makefile"):
            (folder / makefile).parent.mkdir(exist_ok=True)
            shutil.copy(project / makefile, folder / makefile)
        make(folder, ".venv/installed", f"PYTHON={python}")

    folder = kept(f"project-{django_version}", lock, python, install)
    (project / ".venv").symlink_to(folder / ".venv")
    (folder / ".venv" / "installed").touch()


def attempt(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run make in the folder, as a user would, whether or not it succeeds."""
    return subprocess.run(
        ["make", *args],
        cwd=folder,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def make(folder: Path, *args: str) -> str:
    """Run make in the folder; its standard output, for it must succeed."""
    result = attempt(folder, *args)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def git(folder: Path, *args: str) -> str:
    """The output of a git command."""
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    result = subprocess.run(
        ["git", *who, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return result.stdout


def commit(folder: Path) -> None:
    """Commit all in a folder."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Change")


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def clean_environ() -> dict[str, str]:
    """The environment without what pytest, make and virtual environments add to it.

    Make hands on what it was given on its command line, such as ARGS. Generated
    projects run their commands on this host unless they are told otherwise.
    """
    added = ("PYTEST_", "COV_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "DJANGO_", "PYTHON")
    added += ("ARGS", "PORT")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(added)}
    environ["PATH"] = os.pathsep.join(
        part
        for part in environ["PATH"].split(os.pathsep)
        if Path(part) != Path(sys.executable).parent
    )
    return environ | {"IN": "host"}
