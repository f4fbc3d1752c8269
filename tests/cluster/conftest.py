"""A real cluster, where KUBECONFIG names one, with a namespace of these tests.

The nodes must have the production image of the default project, under its own name.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from ..conftest import ROOT, SECRET, generate
from ..manifests import Object

NAMESPACE = f"slim-django-test-{os.getpid()}"
SERVICE = "my-service"
REPOSITORY = f"ghcr.io/org/{SERVICE}"
HOST = f"staging.{SERVICE}.example.com"
PODS = f"app.kubernetes.io/name={SERVICE},app.kubernetes.io/component=web"
SECRETS = {
    "SECRET_KEY": SECRET,
    "DATABASE_URL": "postgres://postgres:x@postgres/postgres",
    "POSTGRES_PASSWORD": "x",
}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def kubectl(
    *args: str, given: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run kubectl in the namespace of these tests."""
    result = subprocess.run(
        ["kubectl", "--namespace", NAMESPACE, *args],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def why_no_cluster() -> str | None:
    """Why these tests cannot run here, if so."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster"
    if not shutil.which("kubectl"):
        return "no kubectl command"
    if kubectl("version", "--request-timeout=10s", check=False).returncode:
        return "the cluster of KUBECONFIG does not answer"
    if not image():
        return f"no node has {REPOSITORY}, the production image of the default project"
    return None


@cache
def image() -> str | None:
    """The production image as the nodes name it, if they have it.

    A node names its fifty largest; CLUSTER_IMAGE says it where that is not enough.
    """
    if name := os.environ.get("CLUSTER_IMAGE"):
        return name
    names = "jsonpath={.items[*].status.images[*].names[*]}"
    for name in kubectl("get", "nodes", "--output", names).stdout.split():
        if re.fullmatch(rf"{REPOSITORY}[:@].+(?<!:development)", name):
            return name
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them where there is no cluster."""
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    reason = why_no_cluster() if mine else None
    for item in mine:
        item.add_marker(pytest.mark.cluster)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def apply(*objects: Object) -> None:
    """Apply objects that the tests make themselves."""
    kubectl("apply", "--filename=-", given=yaml.safe_dump_all(objects))


def create_secret(values: dict[str, str]) -> None:
    """Write the service's Secret, in place of one that is there."""
    kind = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SERVICE}}
    apply(kind | {"stringData": values})


def pods() -> list[Object]:
    """The pods that serve and are not about to end."""
    found = kubectl("get", "pods", f"--selector={PODS}", "--output=json").stdout
    return [
        pod
        for pod in json.loads(found)["items"]
        if "deletionTimestamp" not in pod["metadata"]
    ]


def ready(pod: Object) -> bool:
    """Whether requests are sent to it."""
    return any(
        one["type"] == "Ready" and one["status"] == "True"
        for one in pod["status"].get("conditions", [])
    )


def all_ready(number: int = 3) -> bool:
    """Whether that many pods serve, and no other pod is on its way."""
    found = pods()
    return len(found) == number and all(map(ready, found))


def eventually(condition: Callable[[], object], seconds: float) -> None:
    """Wait until the condition holds; fail if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, kubectl("get", "pods").stdout
        time.sleep(0.5)


class Deployment:
    """The staging overlay in the namespace of these tests, to be changed."""

    def __init__(self, folder: Path) -> None:
        self.overlay = generate(folder) / "k8s/overlays/test"
        self.overlay.mkdir()
        name, tag, digest = re.fullmatch(
            r"(.+?)(?::([^:@/]+))?(?:@(.+))?", image() or ""
        ).groups()
        version = {"newTag": tag} if tag else {"digest": digest}
        self.content = {
            "resources": ["../staging"],
            "namespace": NAMESPACE,
            "images": [{"name": name, **version}],
        }

    def write(self, content: Object) -> str:
        """Write the overlay, and say where it is."""
        file = self.overlay / "kustomization.yaml"
        file.write_text(yaml.safe_dump(content))
        return str(self.overlay)

    def apply(self, **more: object) -> str:
        """Apply it with what is added to it; what kubectl says of each object."""
        folder = self.write(self.content | more)
        return kubectl("apply", "--kustomize", folder).stdout

    def apply_configuration(self, *literals: str) -> None:
        """Apply it with another configuration, and wait until it is rolled out."""
        change = {"name": SERVICE, "behavior": "merge", "literals": list(literals)}
        self.apply(configMapGenerator=[change])
        self.wait()

    def wait(self) -> None:
        """Wait until it is rolled out."""
        kubectl("rollout", "status", f"deployment/{SERVICE}", "--timeout=180s")
        eventually(all_ready, 60)


@pytest.fixture(scope="session")
def namespace() -> Iterator[None]:
    """An empty namespace, with Secrets; removed in the end."""
    kubectl("create", "namespace", NAMESPACE, "--save-config")
    try:
        label = "pod-security.kubernetes.io/enforce=restricted"
        kubectl("label", "namespace", NAMESPACE, label)
        create_secret(SECRETS)
        yield
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="session")
def deployment(namespace: None, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The deployment, not applied yet, and PostgreSQL, which it finds."""
    deployment = Deployment(tmp_path_factory.mktemp("cluster"))
    kubectl("create", "serviceaccount", SERVICE, "--save-config")
    postgres = {"components": ["../../components/postgres"], "namespace": NAMESPACE}
    kubectl("apply", "--kustomize", deployment.write(postgres))
    kubectl("rollout", "status", "statefulset/postgres", "--timeout=180s")
    return deployment


@pytest.fixture(scope="session")
def deployed(deployment: Deployment) -> Deployment:
    """The deployment, with all of its pods ready."""
    deployment.apply()
    deployment.wait()
    return deployment


@contextlib.contextmanager
def load(seconds: int, *, retries: int = 0) -> Iterator[dict[str, int]]:
    """A pod that sends requests to the Service; its answers are there in the end."""
    labels = {"app": "load"}
    script = (ROOT / "tests" / "load.py").read_text()
    arguments = [SERVICE, HOST, str(seconds), str(retries)]
    container = {
        "name": "load",
        "image": image(),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", script, *arguments],
        "securityContext": RESTRICTED,
    }
    policy = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Egress"]}
    apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "load"},
            "spec": policy | {"egress": [{}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "load", "labels": labels},
            "spec": {"restartPolicy": "Never", "containers": [container]},
        },
    )
    answers: dict[str, int] = {}
    phase = ["get", "pod", "load", "--output=jsonpath={.status.phase}"]
    try:
        eventually(lambda: kubectl(*phase).stdout == "Running", 60)
        yield answers
        assert kubectl(*phase).stdout == "Running", "the load ended too early"
        eventually(lambda: kubectl(*phase).stdout == "Succeeded", seconds + 60)
        answers |= json.loads(kubectl("logs", "load").stdout)
    finally:
        kubectl("delete", "pod", "load", "--grace-period=1")
