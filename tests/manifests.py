"""Reads the manifests of generated projects as a cluster would get them."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

Object = dict[str, Any]

OVERLAYS = ("development", "staging", "production")


def kustomize() -> list[str]:
    """The command that builds an overlay; the test is skipped where there is none."""
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    pytest.skip("neither kubectl nor kustomize, which build the manifests")


@cache
def build(project: Path, overlay: str) -> str:
    """All manifests of an overlay, as text."""
    folder = project / "k8s" / "overlays" / overlay
    result = subprocess.run([*kustomize(), folder], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def objects(project: Path, overlay: str) -> list[Object]:
    """All objects of an overlay."""
    return list(yaml.safe_load_all(build(project, overlay)))


def select(objects: list[Object], kind: str) -> list[Object]:
    """Those of a kind."""
    return [one for one in objects if one["kind"] == kind]


def workloads(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Name and pod template of all that runs pods."""
    for one in objects:
        if one["kind"] in ("Deployment", "StatefulSet"):
            yield one["metadata"]["name"], one["spec"]["template"]
        elif one["kind"] == "CronJob":
            yield (
                one["metadata"]["name"],
                one["spec"]["jobTemplate"]["spec"]["template"],
            )


def containers(template: Object) -> list[Object]:
    """All containers of a pod, those that run first included."""
    return template["spec"].get("initContainers", []) + template["spec"]["containers"]
