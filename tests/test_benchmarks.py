"""The benchmark's own parts, and that README shows what the newest run measured."""

import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.__main__ import verdict
from benchmarks.images import Contents, rows
from benchmarks.results import FOLDER, Results, kept

from .conftest import ROOT

PROD, FIFTH = (next(r for r in rows() if r.name == name) for name in ("prod", "5"))


@pytest.fixture
def found(tmp_path: Path) -> Results:
    """A run of two images, of which one could not be measured in all."""
    results = Results(tmp_path / "run.json", {"rounds": 2})
    for row in (FIFTH, PROD):
        results.image(row.name, title=row.title, python="3.13")
    for ours, theirs in ((2.0, 3.0), (1.0, 2.0)):
        results.add("prod", {"ready": ours})
        results.add("5", {"ready": theirs})
    results.add("prod", {"size": 43.0})
    results.lack(FIFTH, ["size"], "there is no base image")
    results.save("serving", 1, "5")
    return results


def test_readme_shows_the_newest_run() -> None:
    text = (ROOT / "README.md").read_text()
    assert report.readme(text, kept()[-1]) == text


def test_results_show_the_newest_run(tmp_path: Path) -> None:
    report.write(kept()[-1], tmp_path)
    for name in ("README.md", "sizes.svg"):
        assert (FOLDER / name).read_text() == (tmp_path / name).read_text()


def test_history_shows_all_runs() -> None:
    assert (FOLDER / "history.svg").read_text() == report.history(kept())


@pytest.mark.parametrize("picture", ["sizes.svg", "history.svg"])
def test_pictures_are_well_formed_and_made_for_dark_pages_too(picture: str) -> None:
    ElementTree.parse(FOLDER / picture)
    assert "prefers-color-scheme: dark" in (FOLDER / picture).read_text()


def test_the_newest_run_is_of_all_images_in_the_articles_order() -> None:
    images = kept()[-1]["images"]
    assert list(images) == ["1", "2", "3", "4", "5", "prod", "dev"]
    sizes = [images[name]["figures"]["size"][0] for name in "12345"]
    assert sizes == sorted(sizes, reverse=True)


def test_times_are_ratios_within_a_round(found: Results) -> None:
    assert report.cell(found.run, "5", "ready") == "×1.75 (×1.50 to ×2.00)"
    assert report.cell(found.run, "prod", "ready") == "1.50 s (1.00 s to 2.00 s)"


def test_what_cannot_be_had_is_named_with_its_reason(found: Results) -> None:
    assert report.cell(found.run, "5", "size") == "n/a"
    reason = "n/a because there is no base image: size (5 Alpine, multi-stage)."
    assert reason in report.notes(found.run)


def test_an_interrupted_run_goes_on(found: Results) -> None:
    again = Results(found.path, {"rounds": 2})
    assert again.done("serving", 1, "5")
    assert again.run["images"] == found.run["images"]


def test_other_options_are_another_run(found: Results) -> None:
    assert not Results(found.path, {"rounds": 3}).done("serving", 1, "5")


def test_what_costs_too_much_is_named(found: Results) -> None:
    size = "prod: size: 43.00, must be at most 42"
    assert verdict(found.run) == [size]
    found.add("prod", {"ready": 9.0})
    ready = "prod: ready: 2.00 (1.00 to 9.00), must be at most 1.5"
    assert verdict(found.run) == [size, ready]


def test_layers_add_up_without_what_a_later_one_removes() -> None:
    contents = Contents()
    modes = {
        "bin/sh": 0o755,
        "bin/su": 0o4755,
        "usr/lib/a": 0o644,
        "usr/lib/b": 0o644,
        "usr/.wh.lib": 0,
        "bin/.wh.sh": 0,
    }
    for path, mode in modes.items():
        member = tarfile.TarInfo(path)
        member.mode = mode
        contents.add(member, io.BytesIO())
    apk = tarfile.TarInfo("lib/apk/db/installed")
    contents.add(apk, io.BytesIO(b"P:musl\nV:1\n\nP:zlib\nV:1\n"))
    figures = contents.figures()
    counted = ("files", "executables", "setuid files", "system packages")
    assert [figures[name] for name in counted] == [2, 1, 1, 2]


def test_without_docker_every_figure_is_missing_for_that_reason() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks"],
        cwd=ROOT,
        env=os.environ | {"DOCKER_HOST": "unix:///nonexistent", "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert re.search(
        "n/a because no (Docker Engine answers|docker command)", result.stdout
    )
    assert not re.search(r"\d (MB|s|ms)\b", result.stdout)
