"""What the layers of the production image are made with."""

import importlib.util
import os
import shutil
import subprocess
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


def remove_translations(name: str, languages: set[str]) -> None:
    """Remove from a layer the translations to any but these languages and English."""
    wanted = {code.replace("-", "_").lower() for code in languages | {"en"}}
    wanted |= {code.split("_")[0] for code in wanted}
    for locale in list(layer(name).glob("**/locale/*")):
        if locale.is_dir() and locale.name.lower() not in wanted:
            shutil.rmtree(locale)


def remove_left_out(name: str) -> None:
    """Remove from a layer what production does without."""
    for pattern in PATTERNS:
        glob = layer(name).glob if "/" in pattern else layer(name).rglob
        for path in list(glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def compile_modules(name: str, folder: Path, *, keep_sources: bool = False) -> None:
    """Compile all modules in a folder of a layer to byte code of fixed content.

    Without sources, the byte code takes their place: half the size; the originals get a
    copy, so that no later step compiles them again. With sources, it is cached beside
    them, and tracebacks show lines.
    """
    here = layer(name, folder)
    options = ["-q", "-j0", f"-s{layer(name)}", "-p/"]
    options += ["--invalidation-mode=unchecked-hash", *([] if keep_sources else ["-b"])]
    # By all processors; its own output says which module could not be compiled.
    subprocess.run([sys.executable, "-m", "compileall", *options, here], check=True)
    if not keep_sources:
        for source in here.rglob("*.py"):
            original = "/" / source.relative_to(layer(name))
            cached = Path(importlib.util.cache_from_source(original))
            cached.parent.mkdir(exist_ok=True)
            shutil.copyfile(source.with_suffix(".pyc"), cached)
            source.unlink()


def fix_timestamps(name: str) -> None:
    """Give all in a layer the same age, so that the same content is the same layer."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for path in [layer(name), *layer(name).rglob("*")]:
        os.utime(path, (epoch, epoch), follow_symlinks=False)
