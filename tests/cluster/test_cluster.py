"""What must hold in a real cluster, in the order in which a service lives there."""

import json
import re
import time
from collections.abc import Callable

import pytest

from ..conftest import KILL_WORKER
from ..manifests import Object
from .conftest import (
    NAMESPACE,
    PODS,
    SECRETS,
    SERVICE,
    Deployment,
    all_ready,
    apply,
    create_secret,
    eventually,
    kubectl,
    load,
    pods,
    ready,
)


def test_all_is_ready_within_a_minute(deployment: Deployment) -> None:
    started = time.monotonic()
    deployment.apply()
    eventually(all_ready, 60)
    assert time.monotonic() - started < 60


def test_applied_again_nothing_changes(deployed: Deployment) -> None:
    lines = deployed.apply().splitlines()
    assert [line for line in lines if not line.endswith(" unchanged")] == []
    assert len(lines) > 8


def assert_none_failed(answers: dict[str, int], seconds: int) -> None:
    """All requests were answered, and there were 50 a second or more."""
    assert set(answers) == {"200"}
    assert answers["200"] > 50 * seconds


def test_rollouts_under_load_lose_no_request(deployed: Deployment) -> None:
    with load(180) as answers:
        deployed.apply_configuration("LOG_LEVEL=DEBUG")
        deployed.apply_configuration("LOG_LEVEL=INFO")
    assert_none_failed(answers, 180)


def delete(name: str) -> None:
    """Delete a pod."""
    kubectl("delete", "pod", name, "--wait=false")


def evict(name: str) -> None:
    """Evict a pod, as one who drains its node does."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": NAMESPACE},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
    kubectl("create", f"--raw={path}", "--filename=-", given=json.dumps(eviction))


def kill_worker(name: str) -> None:
    """Kill one of the processes that serve."""
    kubectl("exec", name, "--container=web", "--", "python3", "-c", KILL_WORKER)


@pytest.mark.parametrize(
    ("harm", "retries"),
    [
        pytest.param(delete, 0, id="deleted"),
        pytest.param(evict, 0, id="evicted"),
        # What the killed process was answering is lost; whoever is in front sends a
        # GET again (RFC 9110, section 9.2.2).
        pytest.param(kill_worker, 1, id="worker killed"),
    ],
)
def test_pod_that_is_harmed_loses_no_request(
    deployed: Deployment, harm: Callable[[str], None], retries: int
) -> None:
    with load(60, retries=retries) as answers:
        harm(pods()[0]["metadata"]["name"])
        time.sleep(5)
        eventually(all_ready, 60)
    assert_none_failed(answers, 60)


def restarts() -> list[int]:
    """How often each container of the pods was started again."""
    return [
        status["restartCount"]
        for pod in pods()
        for status in pod["status"]["containerStatuses"]
    ]


def scale_postgres(replicas: int) -> None:
    """Stop PostgreSQL, or start it again, and wait until that is done."""
    kubectl("scale", "statefulset/postgres", f"--replicas={replicas}")
    if replicas:
        kubectl("rollout", "status", "statefulset/postgres", "--timeout=120s")
    else:
        kubectl("wait", "--for=delete", "pod/postgres-0", "--timeout=120s")


def test_database_that_is_away_restarts_nobody(deployed: Deployment) -> None:
    eventually(all_ready, 60)
    before = {pod["metadata"]["name"] for pod in pods()}, restarts()
    scale_postgres(0)
    try:
        eventually(lambda: not any(map(ready, pods())), 60)
        # Longer than liveness probes would need to see a fault.
        time.sleep(70)
    finally:
        scale_postgres(1)
    eventually(all_ready, 15)
    assert ({pod["metadata"]["name"] for pod in pods()}, restarts()) == before


def logs(*options: str) -> str:
    """What the pods that serve have logged, those that have started."""
    selected = ["logs", f"--selector={PODS}", "--tail=-1", "--max-log-requests=20"]
    return kubectl(*selected, *options, check=False).stdout


def set_minimum(replicas: int) -> None:
    """Have the autoscaler keep at least that many replicas."""
    patch = json.dumps({"spec": {"minReplicas": replicas}})
    kubectl("patch", f"hpa/{SERVICE}", "--type=merge", f"--patch={patch}")


def test_five_replicas_at_once_migrate_once(deployed: Deployment) -> None:
    create = ["psql", "--username=postgres", "--command=CREATE DATABASE five"]
    kubectl("exec", "postgres-0", "--", *create)
    set_minimum(5)
    eventually(lambda: all_ready(5), 90)
    url = SECRETS["DATABASE_URL"].removesuffix("postgres") + "five"
    create_secret(SECRETS | {"DATABASE_URL": url})
    kubectl("delete", "pods", f"--selector={PODS}", "--wait=true")
    eventually(lambda: all_ready(5), 120)
    said = logs("--all-containers")
    assert said.count("Applying users.0001_initial... OK") == 1
    assert not re.search("Traceback|ERROR|CRITICAL", said)
    assert restarts() == [0] * 5


def test_failing_migration_leaves_the_old_version_serving(
    deployed: Deployment,
) -> None:
    deployed.apply()
    eventually(lambda: all(map(ready, pods())), 60)
    old = {pod["metadata"]["uid"] for pod in pods()}
    migration = (
        "from django.db import migrations\n"
        "class Migration(migrations.Migration):\n"
        "    dependencies = [('users', '0001_initial')]\n"
        "    operations = [migrations.RunSQL('SELECT 1 FROM missing')]\n"
    )
    apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "failing"},
            "data": {"0002_failing.py": migration},
        }
    )
    mount = {
        "name": "failing",
        "mountPath": "/app/users/migrations/0002_failing.py",
        "subPath": "0002_failing.py",
    }
    spec = {
        "initContainers": [{"name": "migrate", "volumeMounts": [mount]}],
        "volumes": [{"name": "failing", "configMap": {"name": "failing"}}],
    }
    patch: Object = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": SERVICE},
        "spec": {"template": {"spec": spec}},
    }
    with load(60) as answers:
        deployed.apply(patches=[{"patch": json.dumps(patch)}])
        said = 'relation "missing" does not exist'
        eventually(lambda: said in logs("--container=migrate"), 50)
    assert_none_failed(answers, 60)
    serving = {pod["metadata"]["uid"] for pod in pods() if ready(pod)}
    assert serving <= old
    assert len(serving) >= 3
    deployed.apply()
    eventually(lambda: all(map(ready, pods())), 120)


def test_missing_secret_is_named_in_a_line_of_the_log(deployed: Deployment) -> None:
    kubectl("delete", "secret", SERVICE)
    try:
        name = pods()[0]["metadata"]["name"]
        kubectl("delete", "pod", name)
        eventually(lambda: "SECRET_KEY: " in logs("--container=migrate"), 60)
        assert "DATABASE_URL: " in logs("--container=migrate")
    finally:
        create_secret(SECRETS)
