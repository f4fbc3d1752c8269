"""Compares the template's images with the article's five, on the Docker Engine at hand.

Every figure is measured here and now, or is n/a with the reason. The images take turns
in each round. What was measured is remembered: after an interruption the same command
goes on. A complete run becomes a file in benchmarks/results/, with the tables and
pictures that README shows. Ends with status 1 if one of the template's images costs
more than it must.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.conftest import ROOT, free_port, generate, make
from tests.containers.conftest import docker, page, why_no_docker

from . import images, report, serving
from .images import NotAvailable, Row
from .results import Results

CACHE = ROOT / ".cache/bench"
MUST = {
    ("prod", "size"): 42,
    ("prod", "pushed"): 16,
    ("prod", "pushed after a change of code"): 1.5,
    ("prod", "pushed after a change of a dependency"): 8,
    ("prod", "ready"): 1.5,
    ("prod", "memory"): 110,
    ("prod", "rebuild after a change of code"): 8,
    ("dev", "reload after a change of a view"): 2,
}
"""The most that the median of a figure may be, with Python 3.13."""
MOUNTED = "the sources are mounted, and served by Django's development server"
NOT_FOR = {
    **{(step, "dev"): MOUNTED for step in ("code", "serving")},
    **{("reload", name): "only `dev` reloads" for name in (*"12345", "prod")},
}
"""Why a step is not taken for an image."""

Figures = dict[str, float]


@contextmanager
def changed(change: Callable[[str], str], *files: Path) -> Iterator[None]:
    """Files, changed for a while."""
    before = {file: file.read_text() for file in files}
    try:
        for file, text in before.items():
            file.write_text(change(text))
        yield
    finally:
        for file, text in before.items():
            file.write_text(text)


class Benchmark:
    """Measures the images of the default project."""

    def __init__(self, stack: ExitStack, rows: list[Row], seconds: int) -> None:
        """Generate the project; what is made on the way lasts as long as the stack."""
        self.stack = stack
        self.prod = next(row for row in rows if row.name == "prod")
        self.seconds = seconds
        tags = [row.tag for row in rows]
        stack.callback(docker, "image", "rm", "--force", *tags, check=False)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        self.project = generate(Path(folder), project_slug="slim_bench")
        self.view = self.project / "src/config/views.py"
        self.releases = [images.locked(self.project, "sqlparse")]

    def build(self, row: Row, *args: str) -> float:
        """Seconds of a build."""
        started = time.monotonic()
        row.build(self.project, *args)
        return time.monotonic() - started

    def cold(self, row: Row, _: int) -> Figures:
        """Build all anew, with nothing in pip's cache."""
        empty = partial(re.sub, "type=cache", "type=tmpfs")
        with changed(empty, self.project / "Dockerfile"):
            return {"cold build": self.build(row, "--no-cache")}

    def contents(self, row: Row, _: int) -> Figures:
        """See what is in the image."""
        self.build(row)
        return {"size": images.size(row.tag), **images.contents(row.tag).figures()}

    def code(self, row: Row, number: int) -> Figures:
        """Build after a change of code."""
        return self.rebuild(row, number, "code", str, self.view)

    def dependency(self, row: Row, number: int) -> Figures:
        """Build with an older release of a dependency, another one in each round."""
        while len(self.releases) < number + 2:
            self.releases.append(images.before(self.releases[-1]))
        now, other = self.releases[0], self.releases[number + 1]
        locks = (self.project / "requirements").glob("*.txt")
        what = "a dependency"
        return self.rebuild(row, number, what, lambda s: s.replace(now, other), *locks)

    def rebuild(
        self,
        row: Row,
        number: int,
        what: str,
        change: Callable[[str], str],
        *files: Path,
    ) -> Figures:
        """Build as it was, and then changed; the first time, see what that pushes."""
        self.build(row)
        known = None if number else images.contents(row.tag)
        # The builder's cache may have the same change from a run before.
        unique = f"# {time.time_ns()}\n"
        with changed(lambda text: change(text) + unique, *files):
            figures = {f"rebuild after a change of {what}": self.build(row)}
        if known:
            again = images.pushed_again(known, row.tag)
            figures[f"pushed after a change of {what}"] = again
        return figures

    @cached_property
    def site(self) -> serving.Site:
        """The database that the images use."""
        self.build(self.prod)
        return self.stack.enter_context(serving.site(self.prod.tag))

    def serving(self, row: Row, _: int) -> Figures:
        """Serve, under load."""
        self.build(row)
        return self.site.serving(row.tag, self.seconds)

    def reload(self, row: Row, _: int) -> Figures:
        """Change a view that the development container serves."""
        override = self.project / "compose.override.yaml"
        build = {"args": {"PYTHON_VERSION": row.python}}
        override.write_text(json.dumps({"services": {"web": {"build": build}}}))
        port = free_port()
        make(self.project, "up", f"PORT={port}")
        try:
            edit = f"Edit {port}"
            with changed(lambda text: text.replace('"Django"', f'"{edit}"'), self.view):
                started = time.monotonic()
                while edit not in page(f"http://127.0.0.1:{port}/"):
                    time.sleep(0.005)
                return {"reload after a change of a view": time.monotonic() - started}
        finally:
            make(self.project, "down")
            docker("volume", "rm", "slim-bench_db")
            docker("image", "rm", "slim-bench-web")


def measure(rows: list[Row], found: Results, rounds: int, seconds: int) -> None:
    """Take all turns that have not been taken yet."""
    columns = (
        TimeElapsedColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    turns = [
        (step, number, row)
        for step in report.STEPS
        for number in range(1 if step == "contents" else rounds)
        # Each round begins with another image: whoever comes first may be unlucky.
        for row in rows[number:] + rows[:number]
        if row.name in found.run["options"]["only"]
    ]
    with ExitStack() as stack, Progress(*columns, transient=True) as progress:
        benchmark = Benchmark(stack, rows, seconds)
        task = progress.add_task("", total=len(turns))
        for step, number, row in turns:
            what = f"{row.title}: {step}, round {number + 1}"
            progress.update(task, description=what)
            if not progress.console.is_terminal:
                print(what, flush=True)
            if not found.done(step, number, row.name):
                try:
                    if reason := NOT_FOR.get((step, row.name)):
                        raise NotAvailable(reason)
                    found.image(row.name, title=row.title, python=row.python)
                    figures = getattr(benchmark, step)(row, number)
                except NotAvailable as reason:
                    found.lack(row, list(report.STEPS[step]), f"{reason}")
                else:
                    found.add(row.name, figures)
                found.save(step, number, row.name)
            progress.advance(task)


def verdict(run: report.Run) -> list[str]:
    """What costs more than it must."""
    missed = []
    for (name, figure), must in MUST.items():
        values = run["images"].get(name, {}).get("figures", {}).get(figure)
        if isinstance(values, list) and statistics.median(values) > must:
            measured = report.spread(values, "{:.2f}")
            missed.append(f"{name}: {figure}: {measured}, must be at most {must}")
    return missed


def main() -> None:
    """Measure, and show what was found."""
    rows = images.rows()
    names = [row.name for row in rows]
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", default=",".join(names))
    parser.add_argument("--quick", action="store_true", help="one round, less load")
    args = parser.parse_args()
    only = args.only.split(",")
    if unknown := [name for name in only if name not in names]:
        parser.error(f"--only: {','.join(unknown)}: there are {', '.join(names)}")
    rounds, seconds = (1, 2) if args.quick else (3, 5)

    found = Results(CACHE / "run.json", {"only": only, "rounds": rounds})
    if reason := why_no_docker():
        for row in rows:
            found.lack(row, list(report.FIGURES), reason)
    else:
        measure(rows, found, rounds, seconds)
    report.show(found.run, Console())
    report.write(found.run, CACHE)
    if reason:
        sys.exit(1)
    if only == names and not args.quick:
        found.keep()
        report.publish()
    else:
        found.path.unlink()
    if missed := verdict(found.run):
        sys.exit("More than it must be:\n  " + "\n  ".join(missed))


if __name__ == "__main__":
    main()
