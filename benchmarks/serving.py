"""Containers that serve: when they are ready, what memory they need, what they bear."""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.containers import conftest as containers
from tests.containers.conftest import (
    MEGABYTE,
    cpu_seconds,
    docker,
    environ,
    service,
    status,
)

LOAD = Path(__file__).with_name("load.py")
CONNECTIONS = 16
PSS = """
import pathlib, re, os
total = 0
for smaps in pathlib.Path("/proc").glob("[0-9]*/smaps_rollup"):
    if smaps.parent.name != str(os.getpid()):
        total += int(re.search(r"^Pss:\\s+(\\d+)", smaps.read_text(), re.M)[1])
print(total * 1024)
"""
SIGN_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from users.models import User
user, _ = User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(session.session_key)
"""


class Site:
    """A database, migrated, with an administrator who is signed in."""

    def __init__(self, network: str, image: str) -> None:
        """Sign in, with the help of an image of the service."""
        self.network = network
        self.image = image
        command = ["shell", "--verbosity", "0", "--command", SIGN_IN]
        run = docker("run", "--rm", *environ(network), image, *command)
        self.cookie = f"sessionid={run.stdout.strip()}"

    def serving(self, image: str, seconds: int) -> dict[str, float]:
        """The figures of a new container of an image, loaded for so long a page."""
        started = time.monotonic()
        # A process that is replaced by a new one needs less memory than the others.
        lasting = {"GUNICORN_CMD_ARGS": "--max-requests=0"}
        options = [*environ(self.network, **lasting), "--no-healthcheck"]
        with service(image, *options) as (name, address):
            while status(f"{address}/readyz") != 200:
                time.sleep(0.005)
            figures = {"ready": time.monotonic() - started}
            with urllib.request.urlopen(f"{address}/admin/login/") as response:
                static = re.search(r'href="(/static/[^"]+\.css)"', f"{response.read()}")
            pages = {"start page": "/", "query": "/admin/", "static": static[1]}
            for page, path in pages.items():
                for figure, value in self.load(name, path, seconds).items():
                    figures[f"{page}: {figure}"] = value
            memory = docker("exec", name, "python3", "-c", PSS).stdout
            figures["memory"] = int(memory) / MEGABYTE
        return figures

    def load(self, container: str, path: str, seconds: int) -> dict[str, float]:
        """Requests a second, and milliseconds: median, slowest 1 %, server's CPU."""
        address = f"http://{container}:8000{path}"
        python = ["run", "--rm", "--interactive", "--network", self.network]
        python += ["--no-healthcheck", "--entrypoint", "python3", self.image, "-"]
        given = [address, self.cookie, str(CONNECTIONS), str(seconds)]
        before = cpu_seconds(container)
        with LOAD.open() as script:
            result = subprocess.run(
                ["docker", *python, *given],
                stdin=script,
                capture_output=True,
                text=True,
                check=False,
            )
        if result.returncode:
            raise RuntimeError(f"{address}: {result.stderr}")
        figures = json.loads(result.stdout)
        used = cpu_seconds(container) - before
        return figures | {"CPU": used * 1000 / figures.pop("answers")}


@contextmanager
def site(image: str) -> Iterator[Site]:
    """A network and a database for as long as they are needed."""
    with (
        contextmanager(containers.networked)() as network,
        contextmanager(containers.postgresql)(network, image),
    ):
        yield Site(network, image)
