"""What the production image of the default project costs: a table, and a verdict.

Each figure is measured here and now, on the Docker Engine at hand. Ends with status 1
if one is over what it must be. Times and memory are the median of several runs; the
spread is shown.
"""

import hashlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.conftest import free_port, generate, make
from tests.containers import conftest as containers
from tests.containers.conftest import (
    MEGABYTE,
    compressed,
    docker,
    environ,
    layers,
    service,
    status,
)

RUNS = 5
PSS = """
import pathlib, re, os
total = 0
for smaps in pathlib.Path("/proc").glob("[0-9]*/smaps_rollup"):
    if smaps.parent.name != str(os.getpid()):
        total += int(re.search(r"^Pss:\\s+(\\d+)", smaps.read_text(), re.M)[1])
print(total * 1024)
"""


def pushed(image: str, known: tuple[bytes, ...] = ()) -> float:
    """Megabytes of the image's layers, compressed, without those known already."""
    new = [layer for layer in layers(image) if layer not in known]
    return compressed(new) / MEGABYTE


def size(image: str) -> float:
    """Megabytes of an image, as `docker image inspect` tells them."""
    return int(docker("image", "inspect", "-f", "{{.Size}}", image).stdout) / MEGABYTE


@contextmanager
def changed(file: Path, after: str) -> Iterator[None]:
    """A file of the project, changed for a while."""
    before = file.read_text()
    file.write_text(after)
    try:
        yield
    finally:
        file.write_text(before)


def older(lock: str, package: str) -> str:
    """The lock with the release of a package before the locked one."""
    locked = re.search(rf"^{package}==(\S+)(?: \\\n    --hash=\S+)+", lock, re.M)
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command = [*download, "--dest", folder, f"{package}<{locked[1]}"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        (file,) = Path(folder).iterdir()
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        version = file.name.split("-")[1]
    return lock.replace(
        locked[0], f"{package}=={version} \\\n    --hash=sha256:{digest}"
    )


def ready(address: str, started: float) -> float:
    """Seconds from then until the service is ready."""
    while status(f"{address}/readyz") != 200:
        time.sleep(0.005)
    return time.monotonic() - started


def serve(image: str, network: str) -> Iterator[tuple[float, float]]:
    """Seconds until a new container is ready, and megabytes it needs once it served."""
    for _ in range(RUNS):
        started = time.monotonic()
        with service(image, *environ(network)) as (name, address):
            seconds = ready(address, started)
            for path in 50 * ("/", "/admin/login/"):
                status(address + path)
            memory = docker("exec", name, "python3", "-c", PSS).stdout
            yield seconds, int(memory) / MEGABYTE


def rebuild(project: Path, stack: ExitStack) -> Iterator[float]:
    """Seconds of a build after a change of code."""
    view = project / "src/config/views.py"
    for number in range(RUNS):
        with changed(view, f"{view.read_text()}# {number}\n"):
            started = time.monotonic()
            stack.enter_context(containers.build(project, name=f"rebuilt{number}"))
            yield time.monotonic() - started


def reload(project: Path) -> Iterator[float]:
    """Seconds until a change of a view shows in the development container."""
    view = project / "src/config/views.py"
    port = free_port()
    make(project, "up", f"PORT={port}")
    try:
        for number in range(RUNS):
            edit = f"Edit {number}"
            with changed(view, view.read_text().replace('"Django"', f'"{edit}"')):
                started = time.monotonic()
                while edit not in containers.page(f"http://127.0.0.1:{port}/"):
                    time.sleep(0.005)
                yield time.monotonic() - started
            time.sleep(3)
    finally:
        make(project, "down")
        docker("volume", "rm", "slim-bench_db")


def measure() -> Iterator[tuple[str, str, list[float], float, float]]:
    """Each figure: its name and unit, what was measured, what it must and should be."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        project = generate(folder, project_slug="slim_bench")
        image = stack.enter_context(containers.build(project, name="bench"))
        known = tuple(layers(image))
        yield "size", "MB", [size(image)], 42, 35
        yield "size as pushed", "MB", [pushed(image)], 16, 13
        view = project / "src/config/views.py"
        with changed(view, f"{view.read_text()}# changed\n"):
            code = stack.enter_context(containers.build(project, name="code"))
        yield "pushed after a change of code", "MB", [pushed(code, known)], 1.5, 0.5
        lock = project / "requirements/prod.txt"
        with changed(lock, older(lock.read_text(), "sqlparse")):
            one = stack.enter_context(containers.build(project, name="dependency"))
        figure = [pushed(one, known)]
        yield "pushed after a change of one dependency", "MB", figure, 8, 6
        network = stack.enter_context(contextmanager(containers.networked)())
        stack.enter_context(contextmanager(containers.postgresql)(network, image))
        seconds, memory = zip(*serve(image, network), strict=True)
        yield "start to first 200 on /readyz", "s", list(seconds), 1.5, 0.8
        yield "memory while serving (PSS)", "MB", list(memory), 110, 80
        yield "rebuild after a change of code", "s", list(rebuild(project, stack)), 8, 4
        yield "reload after a change of a view", "s", list(reload(project)), 2, 2


def main() -> None:
    """Print the table; status 1 if something must be better."""
    missed = []
    print("| figure | measured | lowest to highest | must | aim |")
    print("| --- | --- | --- | --- | --- |")
    for name, unit, values, must, aim in measure():
        median = statistics.median(values)
        spread = f"{min(values):.2f} to {max(values):.2f}" if len(values) > 1 else ""
        row = f"{median:.2f} {unit} | {spread} | {must} {unit} | {aim} {unit}"
        print(f"| {name} | {row} |", flush=True)
        if median > must:
            missed.append(name)
    if missed:
        sys.exit(f"More than it must be: {', '.join(missed)}")


main()
