"""A rollout under load, played with containers and a proxy.

The pods' restrictions and delays are those of the manifests. The proxy does what
Services do: it hands each new connection to one of the endpoints, and hears late which
of them are gone.
"""

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ..conftest import ROOT
from ..manifests import Object, objects, select
from .conftest import NAME, RESTRICTED, docker, environ, eventually, status

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="containers' own addresses are Linux's alone"
)

HEARS_LATE = 3
"""Seconds until all nodes know that an endpoint is gone."""
SECONDS = 45


class Proxy(threading.Thread):
    """Hands each new connection to one of the endpoints in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.endpoints: list[str] = []
        self.turns = itertools.count()
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.stopped = asyncio.Event()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self.serve())

    async def serve(self) -> None:
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        await self.stopped.wait()
        server.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.join()

    async def connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        endpoints = list(self.endpoints)
        endpoint = endpoints[next(self.turns) % len(endpoints)]
        try:
            there, back = await asyncio.open_connection(endpoint, 8000)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self.copy(reader, back), self.copy(there, writer))

    async def copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Copy until one of both sides ends."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


class Pods:
    """Replicas of the image, rolled out one by one as a Deployment does."""

    def __init__(self, image: str, network: str, spec: Object, proxy: Proxy) -> None:
        self.image, self.network, self.proxy = image, network, proxy
        (container,) = spec["containers"]
        self.delay = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        self.grace = spec["terminationGracePeriodSeconds"] - self.delay
        limits = container["resources"]["limits"]
        self.options = [
            *(*RESTRICTED, "--user", str(spec["securityContext"]["runAsUser"])),
            *("--memory", limits["memory"].replace("Mi", "m"), "--cpus", limits["cpu"]),
        ]
        self.numbers = itertools.count()
        self.running: list[tuple[str, str]] = []
        self.pool = ThreadPoolExecutor()
        self.ending: list[Future[Object]] = []

    def start(self) -> None:
        """Start one, wait until its probes say yes, and make it an endpoint."""
        name = f"{NAME}-pod-{next(self.numbers)}"
        options = [*self.options, *environ(self.network, ALLOWED_HOSTS="*")]
        docker("run", "--detach", "--name", name, *options, self.image)
        inspected = json.loads(docker("inspect", name).stdout)[0]
        (endpoint,) = inspected["NetworkSettings"]["Networks"].values()
        address = endpoint["IPAddress"]
        for probe in ("startupz", "readyz"):
            eventually(lambda: status(f"http://{address}:8000/{probe}") == 200)  # noqa: B023
        self.proxy.endpoints.append(address)
        self.running.append((name, address))

    def end(self, name: str, address: str) -> Object:
        """End one as a kubelet does, while nodes hear of it; the state it ended in."""
        started = time.monotonic()
        time.sleep(HEARS_LATE)
        self.proxy.endpoints.remove(address)
        time.sleep(started + self.delay - time.monotonic())
        docker("stop", "--time", str(self.grace), name)
        state = json.loads(docker("inspect", name).stdout)[0]["State"]
        docker("rm", "--force", name)
        return state

    def roll(self) -> None:
        """Replace all that run, none before its successor serves."""
        for _ in range(len(self.running)):
            self.start()
            old = self.running.pop(0)
            self.ending.append(self.pool.submit(self.end, *old))

    def close(self) -> None:
        """Wait for those that end, and remove the others."""
        self.pool.shutdown()
        for name, _ in self.running:
            docker("rm", "--force", name)


@pytest.fixture
def pods(image: str, network: str, database: str, project: Path) -> Iterator[Pods]:
    """Two replicas behind the proxy."""
    (deployment,) = select(objects(project, "staging"), "Deployment")
    proxy = Proxy()
    proxy.start()
    eventually(lambda: proxy.port)
    pods = Pods(image, network, deployment["spec"]["template"]["spec"], proxy)
    try:
        pods.start()
        pods.start()
        yield pods
    finally:
        pods.close()
        proxy.stop()


def test_rollouts_under_load_lose_no_request(pods: Pods) -> None:
    command = [sys.executable, ROOT / "tests" / "load.py"]
    arguments = [f"127.0.0.1:{pods.proxy.port}", "any.example.com", str(SECONDS), "0"]
    rollouts = 0
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE) as load:
        while load.poll() is None:
            pods.roll()
            rollouts += 1
        answers = json.load(load.stdout)
    states = [one.result() for one in pods.ending]
    assert set(answers) == {"200"}
    assert answers["200"] > 50 * SECONDS
    assert rollouts >= 2
    assert states
    for state in states:
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
