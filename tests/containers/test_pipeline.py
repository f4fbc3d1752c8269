"""The commands of the pipeline, on images really built."""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import attempt, commit, free_port, generate, git, make
from .conftest import NAME, docker, eventually, status


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is committed."""
    project = generate(tmp_path_factory.mktemp("pipeline"), project_slug="slim_pipe")
    commit(project)
    return project


@pytest.fixture(scope="module")
def built(committed: Path) -> Iterator[str]:
    """Its production image."""
    tag = f"{NAME}:pipeline"
    make(committed, "image", f"IMAGE={tag}")
    yield tag
    docker("image", "rm", "--force", tag)


@pytest.fixture
def scanned(tmp_path: Path, committed: Path) -> Path:
    """A copy of the project, whose scanners nobody can reach."""
    project = tmp_path / "scanned"
    shutil.copytree(committed, project)
    compose = project / "pipeline/compose.yaml"
    nowhere = re.sub(r"image: (\w+)\S+", r"image: localhost:9/\1", compose.read_text())
    compose.write_text(nowhere)
    return project


@contextlib.contextmanager
def stand_in(project: Path, scanner: str, *dockerfile: str) -> Iterator[None]:
    """An image made of these lines, in the place of a scanner."""
    tag = f"{NAME}:{scanner}"
    context = project / "stand-in"
    context.mkdir()
    shutil.copy(Path(sys.executable).with_name("hadolint"), context)
    (context / "Dockerfile").write_text("\n".join(dockerfile))
    docker("build", "--quiet", "--tag", tag, str(context))
    compose = project / "pipeline/compose.yaml"
    text = re.sub(rf"(  {scanner}:\n    image: ).*", rf"\1{tag}", compose.read_text())
    compose.write_text(text)
    try:
        yield
    finally:
        docker("image", "rm", "--force", tag)


def test_contents_of_production_are_allowed(committed: Path, built: str) -> None:
    assert "none of" in make(committed, "contents", f"IMAGE={built}")


@pytest.mark.parametrize(
    ("mode", "path"),
    [
        ("4755", "/usr/local/bin/setuid"),
        ("0755", "/bin/sh"),
        ("0755", "/usr/bin/gcc"),
        ("0644", "/usr/local/lib/python3.14/site-packages/pip/__init__.py"),
        ("0666", "/app/config/views.py"),
        ("0644", "/app/users/tests/test_users.py"),
        ("0644", "/app/.env"),
    ],
)
def test_contents_that_are_forbidden_are_named(
    tmp_path: Path, committed: Path, built: str, mode: str, path: str
) -> None:
    (tmp_path / "file").touch()
    copy = f"FROM {built}\nCOPY --chmod={mode} file {path}\n"
    (tmp_path / "Dockerfile").write_text(copy)
    tag = f"{NAME}:forbidden"
    docker("build", "--quiet", "--tag", tag, str(tmp_path))
    result = attempt(committed, "contents", f"IMAGE={tag}")
    docker("image", "rm", "--force", tag)
    assert result.returncode != 0
    assert f" {path[1:]}\n" in result.stderr


def test_an_image_of_something_else_is_no_success(committed: Path) -> None:
    result = attempt(committed, "contents", "IMAGE=postgres:18-alpine")
    assert result.returncode != 0
    assert "does not contain this service" in result.stderr


def test_smoke_serves_the_image_and_leaves_nothing_behind(
    committed: Path, built: str
) -> None:
    assert "The start page and" in make(committed, "smoke", f"IMAGE={built}")
    left = ["--all", "--quiet", "--filter", "name=slim-pipe-smoke"]
    assert docker("ps", *left).stdout == ""


def test_smoke_shows_why_an_image_does_not_serve(
    tmp_path: Path, committed: Path, built: str
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {built}\nENV WEB_THREADS=none\n")
    tag = f"{NAME}:broken"
    docker("build", "--quiet", "--tag", tag, str(tmp_path))
    result = attempt(committed, "smoke", f"IMAGE={tag}")
    docker("image", "rm", "--force", tag)
    assert result.returncode != 0
    assert "WEB_THREADS" in result.stdout + result.stderr
    assert docker("ps", "-aq", "--filter", "name=slim-pipe-smoke").stdout == ""


def test_scan_finds_nothing_in_a_new_project(committed: Path, built: str) -> None:
    # What it cannot reach on this machine, it says.
    make(committed, "scan", f"IMAGE={built}", "CI=")


@pytest.mark.parametrize("scan", ["scan-dockerfile", "scan-history", "scan-image"])
def test_a_laptop_is_told_what_was_not_scanned_and_a_pipeline_fails(
    scanned: Path, built: str, scan: str
) -> None:
    laptop = attempt(scanned, scan, f"IMAGE={built}", "CI=")
    assert (laptop.returncode, laptop.stderr) == (
        0,
        f"NOT SCANNED: {scan}: its scanner or what that needs cannot be reached\n",
    )
    pipeline = attempt(scanned, scan, f"IMAGE={built}", "CI=true")
    assert pipeline.returncode != 0
    assert laptop.stderr in pipeline.stderr


@pytest.mark.parametrize(
    ("status", "passes", "told"),
    [(0, True, False), (1, True, True), (2, False, False)],
    ids=["nothing", "no list of vulnerabilities", "findings"],
)
def test_scan_tells_findings_from_what_trivy_cannot_do(
    scanned: Path, built: str, status: int, passes: bool, told: bool
) -> None:
    entry = f'ENTRYPOINT ["sh", "-c", "exit {status}"]'
    with stand_in(scanned, "trivy", "FROM alpine:3.23", entry):
        result = attempt(scanned, "scan-image", f"IMAGE={built}", "CI=")
    assert (result.returncode == 0) is passes
    assert ("NOT SCANNED" in result.stderr) is told
    assert not (scanned / "image.tar").exists()


def test_scan_shows_bad_habits_of_the_dockerfile(scanned: Path) -> None:
    lines = ["FROM alpine:3.23", "COPY hadolint /bin/", 'CMD ["/bin/hadolint", "-"]']
    with stand_in(scanned, "hadolint", *lines):
        make(scanned, "scan-dockerfile", "CI=true")
        with (scanned / "Dockerfile").open("a") as dockerfile:
            dockerfile.write("MAINTAINER Ada\n")
        result = attempt(scanned, "scan-dockerfile", "CI=true")
    assert result.returncode != 0
    assert "DL4000" in result.stdout


def test_scan_goes_on_after_a_finding(scanned: Path, built: str) -> None:
    with stand_in(scanned, "gitleaks", "FROM alpine:3.23", 'ENTRYPOINT ["false"]'):
        result = attempt(scanned, "scan", f"IMAGE={built}", "CI=")
    assert result.returncode != 0
    for scan in ("scan-dockerfile", "scan-image"):
        assert f"NOT SCANNED: {scan}" in result.stderr


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of a registry: the image that all use, or Debian's program."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        if not docker("pull", "--quiet", "registry:3", check=False).returncode:
            publish = ["--detach", "--rm", "--publish", f"127.0.0.1:{port}:5000"]
            container = docker("run", *publish, "registry:3").stdout.strip()
            stack.callback(docker, "rm", "--force", "--volumes", container)
        elif shutil.which("docker-registry"):
            config = tmp_path / "registry.yaml"
            config.write_text(
                f"{{version: 0.1, http: {{addr: '127.0.0.1:{port}'}}, "
                f"storage: {{filesystem: {{rootdirectory: '{tmp_path}/images'}}}}}}"
            )
            serve = ["docker-registry", "serve", config]
            program = subprocess.Popen(serve, stderr=subprocess.DEVNULL)
            stack.callback(program.wait)
            stack.callback(program.terminate)
        else:
            pytest.skip("neither the image registry:3 nor the program docker-registry")
        eventually(lambda: status(f"http://127.0.0.1:{port}/v2/") == 200)
        yield f"localhost:{port}"


def test_release_publishes_what_the_commit_has_and_hands_it_to_staging(
    tmp_path: Path, registry: str
) -> None:
    image = f"{registry}/slim-pipe"
    project = generate(tmp_path, project_slug="slim_pipe", image_repository=image)
    commit(project)
    version = git(project, "describe", "--always").strip()
    make(project, "release")
    digest = (project / "image.env").read_text().strip().removeprefix("DIGEST=")
    docker("image", "rm", "--force", f"{image}:{version}")
    try:
        docker("pull", f"{image}@{digest}")
        labels = docker(
            "image", "inspect", "-f", "{{json .Config.Labels}}", f"{image}@{digest}"
        )
        assert git(project, "rev-parse", "HEAD").strip() in labels.stdout
        make(project, "contents", "smoke", f"IMAGE={image}@{digest}")
    finally:
        docker("image", "rm", "--force", f"{image}@{digest}", check=False)
    release = project / "k8s/overlays/staging/release/kustomization.yaml"
    assert f"digest: {digest}\n" in release.read_text()
    assert f'version: "{version}"\n' in release.read_text()
