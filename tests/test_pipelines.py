"""The generated pipelines: valid, strict, and thin."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHOICES, ROOT, Answers, generate, make

BIN = Path(sys.executable).parent
CHECKS = {"lint", "test", "image", "size", "contents", "smoke", "scan"}
RELEASE = {"publish", "contents", "smoke", "sign"}
DEPLOYMENT = {"context", "deploy"}
PIPELINES = {"github": ".github/workflows/pipeline.yaml", "gitlab": ".gitlab-ci.yml"}
SCHEMAS = {
    ".github/workflows/pipeline.yaml": "github-workflows",
    ".github/dependabot.yml": "dependabot",
    ".gitlab-ci.yml": "gitlab-ci",
    "renovate.json": "renovate",
}

Job = dict[str, Any]


def check(folder: Path, *command: str) -> None:
    """Run a checker, which must have nothing to complain about."""
    result = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def check_workflows(folder: Path) -> None:
    """Check GitHub's workflows in a repository, as strictly as can be."""
    check(folder, "actionlint")
    check(folder, "zizmor", "--offline", "--persona=pedantic", "--no-progress", ".")


def check_schema(file: Path) -> None:
    """Check a file against the schema that its platform publishes."""
    name = next(schema for path, schema in SCHEMAS.items() if str(file).endswith(path))
    transform = ["--data-transform=gitlab-ci"] if name == "gitlab-ci" else []
    schema = f"--builtin-schema=vendor.{name}"
    check(file.parent, "check-jsonschema", schema, *transform, file.name)


@pytest.fixture(params=PIPELINES)
def ci(request: pytest.FixtureRequest) -> str:
    """Each kind of pipeline in turn."""
    return request.param


@pytest.fixture(params=CHOICES["django_version"])
def answers(request: pytest.FixtureRequest, ci: str) -> Answers:
    """Each combination with a pipeline in turn."""
    return {"ci": ci, "django_version": request.param}


@pytest.fixture
def jobs(project: Path, ci: str) -> dict[str, Job]:
    """The jobs of a pipeline, by name, with what they inherit."""
    content = yaml.safe_load((project / PIPELINES[ci]).read_text())
    if ci == "github":
        return content["jobs"]

    def whole(job: Job) -> Job:
        return (whole(content[job["extends"]]) if "extends" in job else {}) | job

    names = [name for name in content if "stage" in content[name]]
    return {name: whole(content[name]) for name in names}


def targets(job: Job) -> set[str]:
    """What a job makes."""
    commands = job.get("script") or [step.get("run", "") for step in job["steps"]]
    return {
        target
        for made in re.findall(r"\bmake ((?:[a-z]+ ?)+)", "\n".join(commands))
        for target in made.split()
    }


def test_files_fit_the_schemas_of_their_platforms(project: Path) -> None:
    files = [project / name for name in SCHEMAS if (project / name).exists()]
    assert len(files) == 2
    for file in files:
        check_schema(file)


@pytest.mark.parametrize(
    "image_repository", ["ghcr.io/org/tea", "localhost:5000/tea", "tea"]
)
@pytest.mark.parametrize("django_version", CHOICES["django_version"])
def test_workflow_is_clean(
    tmp_path: Path, django_version: str, image_repository: str
) -> None:
    answers = {"django_version": django_version, "image_repository": image_repository}
    project = generate(tmp_path, ci="github", **answers)
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    check_workflows(project)


@pytest.mark.parametrize(
    ("image_repository", "registry"),
    [
        ("ghcr.io/org/tea", "ghcr.io"),
        ("localhost:5000/tea", "localhost:5000"),
        ("localhost/tea", "localhost"),
        ("org/tea", "docker.io"),
        ("tea", "docker.io"),
    ],
)
def test_registry_is_that_of_the_image(
    tmp_path: Path, image_repository: str, registry: str
) -> None:
    project = generate(tmp_path, image_repository=image_repository)
    assert f"registry: {registry}\n" in (project / PIPELINES["github"]).read_text()


def test_steps_are_commands_that_people_have_too(
    project: Path, jobs: dict[str, Job]
) -> None:
    made = set().union(*map(targets, jobs.values()))
    assert made == CHECKS | RELEASE | DEPLOYMENT
    for target in made:
        assert re.search(rf"^make {target}\s+\S", make(project), re.M)


def test_a_change_is_checked_before_anything_is_published(
    ci: str, jobs: dict[str, Job]
) -> None:
    *checks, publish, staging, production = jobs.values()
    assert set().union(*map(targets, checks)) == CHECKS
    assert targets(publish) == RELEASE
    assert targets(staging) == targets(production) == DEPLOYMENT
    if ci == "github":
        assert publish["needs"] == [*jobs][: len(checks)]
        assert staging["needs"] == "publish"
        assert production["needs"] == ["publish", "staging"]
    else:
        stages = ["check", "check", "publish", "staging", "production"]
        assert [job["stage"] for job in jobs.values()] == stages


def test_production_gets_the_digest_of_staging_after_an_approval(
    ci: str, jobs: dict[str, Job]
) -> None:
    staging, production = jobs["staging"], jobs["production"]
    if ci == "github":
        # Who may approve, the environment says.
        assert (staging["environment"], production["environment"]) == (
            "staging",
            "production",
        )
        assert staging["steps"] == production["steps"]
        deployment = production["steps"][-1]
        assert deployment["env"]["DIGEST"] == "${{ needs.publish.outputs.digest }}"
    else:
        assert staging["script"] == production["script"]
        assert jobs["publish"]["artifacts"] == {"reports": {"dotenv": "image.env"}}
        assert [rule.get("when") for rule in production["rules"]] == ["manual"]


def test_what_others_propose_gets_no_rights(ci: str, jobs: dict[str, Job]) -> None:
    for name in ("publish", "staging", "production"):
        job = jobs.pop(name)
        if ci == "gitlab":
            for rule in job["rules"]:
                assert "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in rule["if"]
        elif name == "publish":
            assert job["if"] == "github.ref == 'refs/heads/main'"
    for job in jobs.values():
        assert "write" not in job.get("permissions", {}).values()
        assert not re.search(r"\bsecrets\.\w", yaml.safe_dump(job))
        assert "id_tokens" not in job


def test_nothing_keeps_a_secret_for_long(project: Path, ci: str) -> None:
    text = (project / PIPELINES[ci]).read_text()
    assert not re.search(r"\bsecrets\.\w", text)
    # GitLab's own, which ends with the job.
    assert set(re.findall(r"\$(\w*(?:PASSWORD|SECRET|KEY)\w*)", text)) <= {
        "CI_REGISTRY_PASSWORD"
    }


def test_jobs_have_a_time_limit_and_deployments_take_turns(
    project: Path, ci: str, jobs: dict[str, Job]
) -> None:
    content = yaml.safe_load((project / PIPELINES[ci]).read_text())
    for name, job in jobs.items():
        if ci == "github":
            assert job["timeout-minutes"] <= 60
        else:
            assert job.get("timeout", content["default"]["timeout"])
        if name in ("staging", "production"):
            assert job.get("resource_group") or job["concurrency"]["group"] == name


def test_what_runs_is_pinned_by_its_content(project: Path, ci: str) -> None:
    for file in (PIPELINES[ci], "pipeline/compose.yaml"):
        text = (project / file).read_text()
        used = re.findall(r"(?:uses:|image:|- name:|--rm) (\S+[@:]\S+)", text)
        assert used
        for one in used:
            assert re.search(r"@(sha256:[0-9a-f]{64}|[0-9a-f]{40})$", one), one


def test_base_image_is_renewed_each_week(project: Path, ci: str) -> None:
    text = (project / PIPELINES[ci]).read_text()
    assert "--pull --no-cache" in text
    assert len(re.findall(r'make (?:image|publish) ARGS="[^"]*\$ANEW"', text)) == 2
    if ci == "github":
        assert re.search(r'schedule:\n.*\n    - cron: "\d+ \d+ \* \* 1"', text)


def test_dockerfile_has_no_bad_habits(project: Path) -> None:
    check(project, "hadolint", "Dockerfile")


def test_updates_cover_requirements_images_and_pipeline(project: Path, ci: str) -> None:
    if ci == "github":
        config = yaml.safe_load((project / ".github/dependabot.yml").read_text())
        assert {update["package-ecosystem"] for update in config["updates"]} == {
            "pip",
            "github-actions",
            "docker-compose",
        }
        return
    config = yaml.safe_load((project / "renovate.json").read_text())
    (pattern,) = config["pip-compile"]["managerFilePatterns"]
    for lock in (project / "requirements").glob("*.txt"):
        assert re.search(pattern.strip("/"), str(lock.relative_to(project)))
    (manager,) = config["customManagers"]
    (match,) = manager["matchStrings"]
    found = re.findall(
        match.replace("(?<", "(?P<"), (project / "Dockerfile").read_text()
    )
    assert [name for name, _ in found] == ["PYTHON", "ALPINE"]


@pytest.mark.parametrize("name", ["base", "prod", "test", "dev"])
def test_bots_can_tell_how_a_lock_was_made(project: Path, name: str) -> None:
    lock = (project / f"requirements/{name}.txt").read_text()
    command = re.search(r"^#    pip-compile (.*)$", lock, re.M)[1].split()
    assert f"--output-file=requirements/{name}.txt" in command
    assert {"--generate-hashes", "--strip-extras"} <= set(command)
    assert command[-1] == f"requirements/{name}.in"


def test_this_repositorys_own_workflows_are_clean() -> None:
    check_workflows(ROOT)
