"""Says what the production image consists of: a table, a picture, and a verdict.

Runs in the stage `rootfs`, in the project's folder. Writes image-size.html. Ends with
status 1 if the image is larger than the budget in pyproject.toml, and names what grew
since image-size.json was written, which `--record` does, as does the first run.
"""

import html
import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

from layers import LAYERS, LIBRARY, PACKAGES

NAMES = ("system", "python", "dependencies", "application")
RECORD = Path("image-size.json")
PICTURE = Path("image-size.html")
STYLE = """
body { font: 13px sans-serif; margin: 0; height: 100vh; display: flex; gap: 2px }
section { display: flex; flex-direction: column; gap: 2px; overflow: hidden }
h1 { font-size: 13px; margin: 4px; white-space: nowrap }
p { margin: 0; padding: 0 4px; overflow: hidden; background: #cfe3f7; min-height: 0;
    color: #000; white-space: nowrap }
"""


def packages() -> dict[str, str]:
    """The Alpine package that each file of the system belongs to."""
    owners, package, folder = {}, "", ""
    for line in (LAYERS / "system/lib/apk/db/installed").read_text().splitlines():
        kind, _, value = line.partition(":")
        if kind == "P":
            package = value
        elif kind == "F":
            folder = value
        elif kind == "R":
            owners[f"{folder}/{value}"] = package
    return owners


def component(layer: str, path: Path, owners: dict[str, str]) -> str:
    """What a file of a layer, its path relative to the root, is part of."""
    if layer == "system":
        return owners.get(str(path), "others")
    for root in (PACKAGES, LIBRARY / "lib-dynload", LIBRARY, Path("/app")):
        if path.is_relative_to(root.relative_to("/")):
            return path.relative_to(root.relative_to("/")).parts[0].split(".")[0]
    return path.name


def measure() -> Counter[tuple[str, str]]:
    """The bytes of each component of each layer."""
    sizes: Counter[tuple[str, str]] = Counter()
    owners = packages()
    for layer in NAMES:
        for path in (LAYERS / layer).rglob("*"):
            if path.is_file() and not path.is_symlink():
                name = component(layer, path.relative_to(LAYERS / layer), owners)
                sizes[layer, name] += path.stat().st_size
    return sizes


def shown(sizes: Counter[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Layers in their order, largest components first, small ones added together."""
    rows = []
    for layer in NAMES:
        small = 0
        for (name, part), size in sizes.most_common():
            if name == layer and size * 100 >= sizes.total():
                rows.append((layer, part, size))
            elif name == layer:
                small += size
        rows.append((layer, "all smaller ones", small))
    return rows


def picture(rows: list[tuple[str, str, int]]) -> str:
    """A page whose areas are as large as what they stand for."""
    parts = []
    for layer in NAMES:
        mine = [(part, size) for name, part, size in rows if name == layer]
        total = sum(size for _, size in mine)
        parts.append(f'<section style="flex: {total}"><h1>{layer} {total:,}</h1>')
        for part, size in mine:
            label = html.escape(f"{part} {size:,}")
            parts.append(f'<p style="flex: {size}" title="{label}">{label}</p>')
        parts.append("</section>")
    head = "<!doctype html><meta charset=utf-8><title>Size of the image</title>"
    return f"{head}<style>{STYLE}</style>{''.join(parts)}\n"


def main() -> None:
    """Measure, show, and compare with the budget."""
    budget = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["image-size"]
    sizes = measure()
    rows = shown(sizes)
    for layer, part, size in rows:
        print(f"{layer:14}{part:28}{size:12,}{size / sizes.total():8.1%}")
    print(f"{'total':42}{sizes.total():12,}   budget {budget['bytes']:,}")
    PICTURE.write_text(picture(rows))
    now = {f"{layer} {part}": size for (layer, part), size in sorted(sizes.items())}
    if "--record" in sys.argv or not RECORD.exists():
        RECORD.write_text(json.dumps(now, indent=2) + "\n")
        print(f"Wrote {RECORD}, to compare with; keep it in git.")
    if sizes.total() > budget["bytes"]:
        grown = Counter(now)
        grown.subtract(json.loads(RECORD.read_text()))
        lines = [f"  {name}: {by:+,}" for name, by in grown.most_common() if by > 0]
        sys.exit(
            "The image is over the budget in pyproject.toml. What grew:\n"
            + "\n".join(lines or ["  nothing since the record; make room or raise it"])
        )


main()
