"""What the layers of the production image are made with."""

import compileall
import os
import py_compile
import shutil
import sys
import sysconfig
from pathlib import Path

PREFIX = Path(sys.prefix)
LIBRARY = Path(sysconfig.get_path("stdlib"))
PACKAGES = Path(sysconfig.get_path("purelib"))
LAYERS = Path("/layers")
PATTERNS = [
    line
    for line in Path(__file__).with_name("leave-out.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def layer(name: str, path: Path = Path("/")) -> Path:
    """Where the layer of that name has what the image will have at the path."""
    return LAYERS / name / path.relative_to("/")


def left_out(path: Path) -> bool:
    """Whether the absolute path is one of those that production does without."""
    relative = path.relative_to("/")
    return path.name == "__pycache__" or any(map(relative.match, PATTERNS))


def copy(source: Path, name: str) -> None:
    """Copy a folder to the same place in a layer, without what is left out."""
    shutil.copytree(
        source,
        layer(name, source),
        ignore=lambda folder, names: [n for n in names if left_out(Path(folder, n))],
        symlinks=True,
    )


def remove_translations(name: str, languages: set[str]) -> None:
    """Remove from a layer the translations to any but these languages and English."""
    wanted = {code.replace("-", "_").lower() for code in languages | {"en"}}
    wanted |= {code.split("_")[0] for code in wanted}
    for locale in list(layer(name).glob("**/locale/*")):
        if locale.is_dir() and locale.name.lower() not in wanted:
            shutil.rmtree(locale)


def remove_left_out(name: str) -> None:
    """Remove from a layer what is left out."""
    for path in sorted(layer(name).rglob("*"), reverse=True):
        if left_out("/" / path.relative_to(layer(name))):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def compile_modules(name: str, folder: Path, *, keep_sources: bool = False) -> None:
    """Compile all modules in a folder of a layer to byte code of fixed content.

    Without sources, the byte code takes their place: half the size. With them, it is
    cached beside them, and tracebacks show lines.
    """
    here = layer(name, folder)
    if not compileall.compile_dir(
        here,
        stripdir=str(layer(name)),
        prependdir="/",
        quiet=1,
        legacy=not keep_sources,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    ):
        sys.exit(f"{folder}: not every module could be compiled, see above")
    if not keep_sources:
        for source in here.rglob("*.py"):
            source.unlink()


def fix_timestamps(name: str) -> None:
    """Give all in a layer the same age, so that the same content is the same layer."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for path in [layer(name), *layer(name).rglob("*")]:
        os.utime(path, (epoch, epoch), follow_symlinks=False)
