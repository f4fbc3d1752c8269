"""The manifests: valid, as strict as the field's checkers ask, and of one piece."""

import ast
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest

from .conftest import (
    ROOT,
    attempt,
    clean_environ,
    commit,
    generate,
    git,
    kept,
    make,
    pythons,
)
from .manifests import OVERLAYS, Object, build, containers, objects, select, workloads

OLDEST, NEWEST = "1.33", kubernetes_validate.latest_version()
DIGEST = "sha256:" + hashlib.sha256(b"a released image").hexdigest()
UNRELEASED = "sha256:" + 64 * "0"
LABELS = {
    f"app.kubernetes.io/{name}"
    for name in ("name", "instance", "version", "component", "part-of", "managed-by")
}


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    """Each overlay in turn."""
    return request.param


@pytest.fixture
def manifests(project: Path, overlay: str) -> list[Object]:
    """What the overlay has, for each combination of choices."""
    return objects(project, overlay)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_valid_for_the_oldest_and_the_newest_kubernetes(
    manifests: list[Object], version: str
) -> None:
    for one in manifests:
        kubernetes_validate.validate(one, version, strict=True)


CONTAINER_RULES: dict[str, Callable[[Object], object]] = {
    "gains no privilege": lambda c: (
        c["securityContext"]["allowPrivilegeEscalation"] is False
    ),
    "has no capability": lambda c: (
        c["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    ),
    "requests and limits all resources": lambda c: all(
        set(c["resources"][kind]) == {"cpu", "memory", "ephemeral-storage"}
        for kind in ("requests", "limits")
    ),
    "pulls only what is not there": lambda c: c["imagePullPolicy"] == "IfNotPresent",
    "reads secrets from files alone": lambda c: (
        not any(
            "secretRef" in source or "secretKeyRef" in source.get("valueFrom", {})
            for source in c.get("envFrom", []) + c.get("env", [])
        )
    ),
    "tells Kubernetes why it ended": lambda c: (
        c["name"] == "postgres"
        or c["terminationMessagePolicy"] == "FallbackToLogsOnError"
    ),
}

POD_RULES: dict[str, Callable[[Object], object]] = {
    "runs as somebody else than root": lambda s: (
        s["securityContext"]["runAsNonRoot"] is True
        and s["securityContext"]["runAsUser"] > 0
    ),
    "is filtered by seccomp": lambda s: (
        s["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    ),
    "has an account without token": lambda s: (
        s["serviceAccountName"] and s["automountServiceAccountToken"] is False
    ),
    "gets no variables of services": lambda s: s["enableServiceLinks"] is False,
    "shares nothing with its node": lambda s: (
        not any(s.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    ),
    "mounts what restricted allows": lambda s: all(
        set(volume) & {"secret", "emptyDir"} for volume in s["volumes"]
    ),
    "keeps /tmp in bounded memory": lambda s: any(
        volume.get("emptyDir", {}).get("medium") == "Memory"
        and volume["emptyDir"]["sizeLimit"]
        for volume in s["volumes"]
    ),
}


@pytest.mark.parametrize("rule", CONTAINER_RULES)
def test_each_container(manifests: list[Object], rule: str) -> None:
    for name, template in workloads(manifests):
        for container in containers(template):
            assert CONTAINER_RULES[rule](container), f"{name}: {container['name']}"


@pytest.mark.parametrize("rule", POD_RULES)
def test_each_pod(manifests: list[Object], rule: str) -> None:
    for name, template in workloads(manifests):
        assert POD_RULES[rule](template["spec"]), name


def test_root_file_systems_are_read_only(manifests: list[Object], overlay: str) -> None:
    for name, template in workloads(manifests):
        for container in containers(template):
            writable = overlay == "development" and container["name"] == "web"
            read_only = container["securityContext"]["readOnlyRootFilesystem"]
            assert read_only is not writable, name


def test_each_pod_has_the_recommended_labels(manifests: list[Object]) -> None:
    for _, template in workloads(manifests):
        assert set(template["metadata"]["labels"]) == LABELS


def test_all_is_in_the_overlays_namespace(
    manifests: list[Object], overlay: str
) -> None:
    (namespace,) = select(manifests, "Namespace")
    name = namespace["metadata"]["name"]
    assert name.endswith(f"-{overlay}")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    others = [one for one in manifests if one is not namespace]
    assert {one["metadata"]["namespace"] for one in others} == {name}


def test_there_is_no_secret(manifests: list[Object]) -> None:
    assert select(manifests, "Secret") == []


def matches(selector: Object, template: Object) -> bool:
    """Whether a selector without expressions selects a pod."""
    return selector.items() <= template["metadata"]["labels"].items()


def test_each_pod_is_isolated_and_has_a_policy(manifests: list[Object]) -> None:
    policies = {
        policy["metadata"]["name"]: policy["spec"]
        for policy in select(manifests, "NetworkPolicy")
    }
    deny = policies.pop("default-deny")
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, template in workloads(manifests):
        mine = [
            policy
            for policy in policies.values()
            if matches(policy["podSelector"]["matchLabels"], template)
        ]
        assert len(mine) == 1, name


def test_what_selects_pods_selects_those_of_the_service(
    manifests: list[Object],
) -> None:
    (deployment,) = select(manifests, "Deployment")
    mine = deployment["spec"]["selector"]["matchLabels"]
    for name, template in workloads(manifests):
        assert matches(mine, template) is (name == deployment["metadata"]["name"])
    selectors = [
        budget["spec"]["selector"]["matchLabels"]
        for budget in select(manifests, "PodDisruptionBudget")
    ]
    (service,) = (
        one
        for one in select(manifests, "Service")
        if one["metadata"]["name"] == deployment["metadata"]["name"]
    )
    selectors.append(service["spec"]["selector"])
    for one in selectors:
        assert one == mine


def test_a_change_of_configuration_rolls_out(
    project: Path, tmp_path: Path, overlay: str
) -> None:
    changed = tmp_path / "project"
    shutil.copytree(project, changed, ignore=shutil.ignore_patterns(".venv"))
    file = changed / "k8s/base/kustomization.yaml"
    file.write_text(file.read_text().replace("BEHIND_PROXY=true", "BEHIND_PROXY=no"))
    before, after = (
        select(objects(one, overlay), "Deployment")[0]["spec"]["template"]
        for one in (project, changed)
    )
    assert before != after


def web(manifests: list[Object]) -> Object:
    """The pod that serves."""
    (deployment,) = select(manifests, "Deployment")
    return deployment["spec"]["template"]["spec"]


def test_probes_have_endpoints_of_their_own(manifests: list[Object]) -> None:
    (container,) = web(manifests)["containers"]
    paths = {
        probe: container[f"{probe}Probe"]["httpGet"]
        for probe in ("startup", "readiness", "liveness")
    }
    assert paths == {
        "startup": {"path": "/startupz", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
    }
    for probe in paths:
        assert {"periodSeconds", "timeoutSeconds", "failureThreshold"} < set(
            container[f"{probe}Probe"]
        )


def test_requests_in_flight_have_time_to_end(
    project: Path, manifests: list[Object]
) -> None:
    settings = ast.parse((project / "src/config/gunicorn.py").read_text())
    (graceful,) = (
        node.value.value
        for node in settings.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "graceful_timeout"
    )
    spec = web(manifests)
    (container,) = spec["containers"]
    delay = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= delay + graceful + 3


def test_rolls_out_without_a_pod_less(manifests: list[Object]) -> None:
    (deployment,) = select(manifests, "Deployment")
    assert deployment["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    # The HorizontalPodAutoscaler's; an apply would undo what it decided.
    assert "replicas" not in deployment["spec"]


def test_who_runs_it_is_the_images_user(project: Path, manifests: list[Object]) -> None:
    (uid,) = re.findall(r"^ARG UID=(\d+)$", (project / "Dockerfile").read_text(), re.M)
    assert web(manifests)["securityContext"]["runAsUser"] == int(uid)


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_ingress_reaches_what_the_service_answers_to(
    project: Path, overlay: str
) -> None:
    manifests = objects(project, overlay)
    (ingress,) = select(manifests, "Ingress")
    (rule,), (tls,) = ingress["spec"]["rules"], ingress["spec"]["tls"]
    settings = (project / "src/config/settings.py").read_text()
    (domain,) = re.findall('^DOMAIN_NAME = "(.*)"$', settings, re.M)
    (configuration,) = select(manifests, "ConfigMap")
    assert [rule["host"]] == tls["hosts"]
    assert rule["host"] == configuration["data"].get("ALLOWED_HOSTS", domain)


def test_staging_and_production_run_the_same(project: Path) -> None:
    staging, production = (
        {
            name: re.sub(r'-[a-z0-9]{10}"', '"', json.dumps(template))
            for name, template in workloads(objects(project, overlay))
        }
        for overlay in ("staging", "production")
    )
    assert staging == production


def test_migrations_can_have_a_role_of_their_own(project: Path, tmp_path: Path) -> None:
    changed = tmp_path / "project"
    shutil.copytree(project / "k8s", changed / "k8s")
    file = changed / "k8s/overlays/staging/kustomization.yaml"
    component = "  - release\n  - ../../components/migration-role\n"
    file.write_text(file.read_text().replace("  - release\n", component))
    spec = web(objects(changed, "staging"))
    secrets = {
        volume["name"]: volume["secret"]["secretName"]
        for volume in spec["volumes"]
        if "secret" in volume
    }
    mounted = {
        container["name"]: {
            secrets[mount["name"]]
            for mount in container["volumeMounts"]
            if mount["name"] in secrets
        }
        for container in [*spec["initContainers"], *spec["containers"]]
    }
    (service,) = mounted["web"]
    assert mounted["migrate"] == {service, f"{service}-migrate"}


@pytest.fixture(scope="session")
def checkov() -> Path:
    """The checker, in an environment of its own that is made once and kept."""
    lock = ROOT / "tests" / "checkov.txt"
    python, *_ = pythons((3, 11))

    def install(folder: Path) -> None:
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [
            folder / "bin/pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
        ]
        subprocess.run([*pip, "-r", lock], check=True, env=clean_environ())

    return kept("checkov", lock, python, install) / "bin" / "checkov"


def test_checkov_finds_nothing(
    projects: Callable[[dict[str, str]], Path], checkov: Path, tmp_path: Path
) -> None:
    for overlay in OVERLAYS:
        manifests = build(projects({}), overlay).replace(UNRELEASED, DIGEST)
        (tmp_path / f"{overlay}.yaml").write_text(manifests)
    options = ["--framework", "kubernetes", "--skip-download", "--output", "json"]
    result = subprocess.run(
        [checkov, "--directory", tmp_path, *options], capture_output=True, text=True
    )
    report = json.loads(result.stdout)
    failed = report["results"]["failed_checks"]
    assert [f"{check['check_id']} {check['resource']}" for check in failed] == []
    assert report["summary"]["passed"] > 300
    assert report["summary"]["parsing_errors"] == 0


# Commands -------------------------------------------------------------------------


def release(project: Path, environment: str) -> Path:
    """The file that says what an environment runs."""
    return project / f"k8s/overlays/{environment}/release/kustomization.yaml"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in git that was released to staging; not to be changed."""
    project = generate(tmp_path_factory.mktemp("released"))
    file = release(project, "staging")
    file.write_text(file.read_text().replace(UNRELEASED, DIGEST))
    commit(project)
    return project


@pytest.fixture
def copied(released: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(released, tmp_path / "project")


def context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Set kubectl to a context of that name, whose cluster does not answer."""
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl, which knows contexts")
    cluster = {"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": "x", "user": "x"}}],
        "current-context": name,
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(file))


def refused(project: Path, *args: str) -> str:
    """What a command of make says that ends without having done anything."""
    before = subprocess.check_output(["git", "status", "--porcelain"], cwd=project)
    result = attempt(project, *args)
    assert result.returncode != 0
    assert "apply" not in result.stdout
    assert before == subprocess.check_output(
        ["git", "status", "--porcelain"], cwd=project
    )
    return result.stderr


@pytest.mark.parametrize(
    ("arguments", "current", "reason"),
    [
        (["deploy"], "kind-x", "set to the context 'kind-x', not to staging"),
        (["deploy"], "", "No cluster"),
        (["deploy"], "staging", "the context 'staging' does not answer"),
        (["deploy", "CONTEXT=eu-1"], "eu-1", "the context 'eu-1' does not answer"),
        (["deploy", "ENVIRONMENT=production"], "staging", "Nothing was released"),
        (["deploy", "ENVIRONMENT=typo"], "typo", "'typo' is not staging or production"),
        (["deploy", "DIGEST=1"], "staging", "DIGEST: '1' is not sha256: and 64"),
        (["deploy", f"DIGEST={DIGEST}"], "staging", "'staging' does not answer"),
        (["k8s-dev"], "production", "set to the context 'production', not to kind-*"),
        (["k8s-sync"], "production", "set to the context 'production', not to kind-*"),
        (["k8s-dev"], "kind-x", "the context 'kind-x' does not answer"),
    ],
)
def test_no_cluster_is_touched_that_was_not_meant(
    released: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    current: str,
    reason: str,
) -> None:
    context(monkeypatch, tmp_path, current)
    assert reason in refused(released, *arguments)


def test_production_is_not_touched_from_another_context(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(copied, "promote")
    commit(copied)
    context(monkeypatch, tmp_path, "kind-x")
    reason = refused(copied, "deploy", "ENVIRONMENT=production")
    assert "set to the context 'kind-x', not to production" in reason


def test_a_digest_that_is_named_is_what_an_environment_will_run(copied: Path) -> None:
    make(copied, "chosen", "ENVIRONMENT=production", f"DIGEST={DIGEST}")
    assert f"digest: {DIGEST}\n" in release(copied, "production").read_text()


def test_pipeline_reaches_a_cluster_by_what_it_is_told(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    told = {"SERVER": "https://192.0.2.1:6443", "CA": "QQ==", "TOKEN": "t0ken"}
    for name, value in told.items():
        monkeypatch.setenv(f"KUBE_{name}", value)
    shown = make(released, "context", "ENVIRONMENT=production")
    assert told["TOKEN"] not in shown
    view = ["kubectl", "config", "view", "--minify", "--raw", "--output=json"]
    config = json.loads(subprocess.check_output(view))
    assert config["current-context"] == "production"
    assert config["clusters"][0]["cluster"] == {
        "server": told["SERVER"],
        "certificate-authority-data": told["CA"],
    }
    assert config["users"][0]["user"] == {"token": told["TOKEN"]}


def test_all_that_the_pipeline_was_not_told_is_named(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBE_CA", "QQ==")
    result = attempt(released, "context")
    assert result.returncode != 0
    assert result.stderr.startswith("Not set: KUBE_SERVER KUBE_TOKEN; see README\n")


def test_promote_hands_the_image_of_staging_to_production(copied: Path) -> None:
    make(copied, "promote")
    staging, production = (
        release(copied, environment).read_text()
        for environment in ("staging", "production")
    )
    assert DIGEST in production
    assert staging == production


def test_nothing_is_promoted_before_a_release(copied: Path) -> None:
    shutil.copy(release(copied, "production"), release(copied, "staging"))
    commit(copied)
    assert "Nothing was released to staging yet" in refused(copied, "promote")


@pytest.mark.parametrize("command", ["release", "promote"])
def test_what_is_not_committed_is_not_released(copied: Path, command: str) -> None:
    (copied / "new.txt").touch()
    reason = refused(copied, command)
    assert "Commit these changes, or put them aside:\n?? new.txt" in reason


def test_without_a_commit_nothing_is_released(copied: Path) -> None:
    shutil.rmtree(copied / ".git")
    git(copied, "init", "--quiet")
    assert "there is none here" in refused(copied, "release")
