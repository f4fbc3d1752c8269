"""Shows a run: in the terminal, as Markdown, and as pictures (SVG)."""

import statistics
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.conftest import ROOT

from .results import FOLDER, kept

Run = dict[str, Any]

STEPS = {
    "cold": {"cold build": "s"},
    "contents": {
        "size": "MB",
        "pushed": "MB",
        "layers": "",
        "files": "",
        "executables": "",
        "setuid files": "",
        "system packages": "",
        "Python distributions": "",
    },
    "code": {
        "rebuild after a change of code": "s",
        "pushed after a change of code": "MB",
    },
    "dependency": {
        "rebuild after a change of a dependency": "s",
        "pushed after a change of a dependency": "MB",
    },
    "serving": {
        "ready": "s",
        "memory": "MB",
        **{
            f"{page}: {figure}": unit
            for page in ("start page", "query", "static")
            for figure, unit in {
                "requests": "/s",
                "p50": "ms",
                "p99": "ms",
                "CPU": "ms",
            }.items()
        },
    },
    "reload": {"reload after a change of a view": "s"},
}
"""What is measured together, in its order, and in which units."""

FIGURES = {name: unit for step in STEPS.values() for name, unit in step.items()}

NOISY = {"s", "/s", "ms"}
"""Units of what a machine does faster at one time than at another: shown as ratios."""

SHORT = (
    *("size", "pushed", "system packages", "cold build"),
    *("rebuild after a change of code", "ready", "memory"),
    *("query: requests", "query: CPU"),
)
"""The figures that README shows."""

NOTE = """\
*ready*: from `docker run` to the first 200 of `/readyz`; *memory*: PSS of a container \
that has served the three loads; *start page*: `/`; *query*: the administration's \
index, signed in; *static*: its style sheet; *CPU*: what the server's processes used \
for a request; *pushed*: layers compressed, as for a \
registry. \
Times and rates are ratios to `prod` within a round, the images taking turns: the \
median of the rounds, and the lowest and highest."""


def spread(values: list[float], form: str) -> str:
    """The median, and the lowest and highest where they differ."""
    shown = [form.format(value) for value in (min(values), max(values))]
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(statistics.median(values))} ({shown[0]} to {shown[1]})"


def cell(run: Run, name: str, figure: str, *, short: bool = False) -> str:
    """One figure of one image, as a table shows it; if short, without the spread."""
    values = run["images"][name]["figures"].get(figure, "not measured")
    if isinstance(values, str):
        return "n/a"
    unit = FIGURES[figure]
    base = run["images"].get("prod", {}).get("figures", {}).get(figure)
    if unit in NOISY and isinstance(base, list) and name != "prod":
        ratios = [ours / theirs for ours, theirs in zip(values, base, strict=False)]
        return spread([statistics.median(ratios)] if short else ratios, "×{:.2f}")
    space = "" if unit in ("", "/s") else " "
    form = "{:,.0f}" if unit in ("", "/s") else "{:,.2f}" if unit == "s" else "{:,.1f}"
    shown = [statistics.median(values)] if short else values
    return spread(shown, form + space + unit)


def proportions(run: Run) -> str:
    """How large an image is in proportion to others, as in the article's summary."""
    sizes = {
        name: image["figures"]["size"][0]
        for name, image in run["images"].items()
        if isinstance(image["figures"].get("size"), list)
    }
    pairs = [("5", "1"), ("prod", "1"), ("prod", "5")]
    parts = [
        f"{name} is {sizes[name] / sizes[other]:.1%} of {other}"
        for name, other in pairs
        if name in sizes and other in sizes
    ]
    return f"Sizes: {', '.join(parts)}." if parts else ""


def notes(run: Run) -> list[str]:
    """What a reader has to know to read the table."""
    images = run["images"].values()
    about = ", ".join(f"{name} {value}" for name, value in run["machine"].items())
    lines = [
        f"{run['date'][:10]}, template {run['template']}, {run['options']['rounds']} "
        f"rounds; {about or 'no machine to measure on'}.",
        proportions(run),
        NOTE,
    ]
    pythons = {image["python"] for image in images if "python" in image}
    if len(pythons) > 1:
        versions = ", ".join(
            f"{image['title']}: {image['python']}"
            for image in images
            if "python" in image
        )
        lines.append(
            f"The base images at hand differ in their Python ({versions}): rates and "
            "times between those are indications only."
        )
    lacking: dict[tuple[str, str], list[str]] = {}
    for image in images:
        reasons: dict[str, list[str]] = {}
        for figure, why in image["figures"].items():
            if isinstance(why, str):
                reasons.setdefault(why, []).append(figure)
        for why, what in reasons.items():
            lacking.setdefault((why, "; ".join(what)), []).append(image["title"])
    for (why, what), titles in lacking.items():
        lines.append(f"n/a because {why}: {what} ({'; '.join(titles)}).")
    return [line for line in lines if line]


def table(run: Run, figures: tuple[str, ...], *, short: bool = False) -> str:
    """A table in Markdown; if short, with a row for each image, without the spread."""
    names = run["images"]
    titles = {name: image["title"] for name, image in names.items()}
    if short:
        head = ["image", *figures]
        lines = [
            [titles[n], *(cell(run, n, f, short=True) for f in figures)] for n in names
        ]
    else:
        head = ["", *titles.values()]
        lines = [[f, *(cell(run, n, f) for n in names)] for f in figures]
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def markdown(run: Run) -> str:
    """Everything that was measured."""
    return (
        f"# All figures\n\n{table(run, tuple(FIGURES))}\n"
        + "\n\n".join(notes(run))
        + "\n"
    )


def show(run: Run, console: Console) -> None:
    """Everything that was measured, in the terminal."""
    shown = Table(show_lines=False)
    shown.add_column("")
    for image in run["images"].values():
        shown.add_column(image["title"], justify="right")
    for figure in FIGURES:
        shown.add_row(figure, *(cell(run, name, figure) for name in run["images"]))
    console.print(shown)
    for line in notes(run):
        console.print(line, highlight=False)


STYLE = """\
text { font: 13px sans-serif; fill: #24292f }
rect { fill: #8c959f } .ours { fill: #0a7d4f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } rect { fill: #6e7681 } .ours { fill: #3fb950 }
}
"""


def bars(title: str, values: list[tuple[str, float, bool]]) -> str:
    """A picture: a bar in megabytes each, some of them ours."""
    top = max(value for _, value, _ in values)
    height = 24 * len(values) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" '
        f'role="img" aria-label="{escape(title)}">\n<style>\n{STYLE}</style>\n'
        f'<text x="0" y="16" font-weight="bold">{escape(title)}</text>\n'
    ]
    for number, (label, value, ours) in enumerate(values):
        y = 30 + 24 * number
        width = 400 * value / top
        mark = ' class="ours"' if ours else ""
        parts.append(
            f'<text x="250" y="{y + 14}" text-anchor="end">{escape(label)}</text>\n'
            f'<rect x="260" y="{y}" width="{width:.1f}" height="18"{mark}/>\n'
            f'<text x="{266 + width:.1f}" y="{y + 14}">{value:,.1f} MB</text>\n'
        )
    return "".join([*parts, "</svg>\n"])


def sizes(run: Run) -> str:
    """A picture of the sizes of all images in a run."""
    values = [
        (image["title"], image["figures"]["size"][0], name in ("prod", "dev"))
        for name, image in run["images"].items()
        if isinstance(image["figures"].get("size"), list)
    ]
    return bars("Size of the image, as docker image inspect tells it", values)


def history(runs: list[Run]) -> str:
    """A picture of the production image's size over time."""
    values = [
        (f"{run['date'][:10]} {run['template']}", figures["size"][0], True)
        for run in runs
        if (figures := run["images"].get("prod", {}).get("figures", {})).get("size")
    ]
    return bars("Size of the production image, run after run", values)


def write(run: Run, folder: Path) -> None:
    """Write what was measured, as Markdown and as a picture, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(markdown(run))
    if any("size" in image["figures"] for image in run["images"].values()):
        (folder / "sizes.svg").write_text(sizes(run))


def readme(text: str, run: Run) -> str:
    """The text of README with the run's short table in its place."""
    begin, end = "<!-- `make bench` writes this table. -->\n", "<!-- Its end. -->\n"
    before, rest = text.split(begin)
    short = table(run, SHORT, short=True)
    return f"{before}{begin}\n{short}\n{end}{rest.split(end)[1]}"


def publish() -> None:
    """Bring all that shows the kept runs up to date."""
    runs = kept()
    write(runs[-1], FOLDER)
    (FOLDER / "history.svg").write_text(history(runs))
    file = ROOT / "README.md"
    file.write_text(readme(file.read_text(), runs[-1]))
