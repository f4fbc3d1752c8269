"""Proves that the layers, put together, have all that is needed to run."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from layers import layer

ROOT = Path("/root-of-production")
IMPORT = """
import contextlib, importlib, io, json, sys, warnings
warnings.simplefilter("ignore")
problems = {}
for name in json.load(sys.stdin):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(name)
    except BaseException as error:
        problems[name] = f"{type(error).__name__}: {error}"
json.dump(problems, sys.stdout)
"""


def assemble(*names: str) -> None:
    """Put layers together in ROOT, as the production image will."""
    for name in names:
        shutil.copytree(layer(name), ROOT, symlinks=True, dirs_exist_ok=True)


def enter(root: Path) -> None:
    """Make a folder the root of this process."""
    os.chroot(root)
    os.chdir("/")


def run(*command: str, root: Path = ROOT, given: str = "", env: dict[str, str]) -> str:
    """The output of a command in the root; the build ends if it fails."""
    result = subprocess.run(
        command,
        preexec_fn=partial(enter, root),
        input=given,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.exit(f"{' '.join(command)}: failed in the production image, see above")
    return result.stdout


def modules(folder: Path) -> list[str]:
    """The names of all modules in a folder."""
    names = set()
    for path in [*folder.rglob("*.py"), *folder.rglob("*.pyc")]:
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if all(part.isidentifier() and part != "__main__" for part in parts) and parts:
            names.add(".".join(parts))
    return sorted(names - {"manage"})


def failing(names: list[str], root: Path, environ: dict[str, str]) -> dict[str, str]:
    """Those of the modules that cannot be imported in the root, and why."""
    python = ["python3", "-c", IMPORT]
    output = run(*python, root=root, given=json.dumps(names), env=environ)
    problems: dict[str, str] = json.loads(output)
    return problems


def check_imports(
    names: list[str], environ: dict[str, str], *, elsewhere: Path | None = None
) -> None:
    """End the build if a module cannot be imported, unless it cannot elsewhere either.

    Some modules import nowhere, for want of a package that is optional.
    """
    problems = failing(names, ROOT, environ)
    if elsewhere:
        known = failing(list(problems), elsewhere, environ)
        problems = {name: problems[name] for name in problems if name not in known}
    lines = [f"  {name}: {why}" for name, why in problems.items()]
    if lines:
        sys.exit(
            "These modules cannot be imported in the production image. Remove from "
            "docker/leave-out.txt what they need:\n" + "\n".join(lines)
        )


def check_libraries() -> None:
    """End the build if a shared library that another one needs is not in the root.

    One that wheels bring along may be found only once the module that needs it loads.
    """
    (loader,) = ROOT.glob("lib/ld-musl-*.so.1")
    present = {path.name for path in ROOT.rglob("*.so*")}
    problems = []
    for library in sorted({*ROOT.rglob("*.so"), *ROOT.rglob("*.so.*")} - {loader}):
        if library.is_symlink() or library.read_bytes()[:4] != b"\x7fELF":
            continue
        result = subprocess.run(
            [f"/{loader.relative_to(ROOT)}", "--list", f"/{library.relative_to(ROOT)}"],
            preexec_fn=partial(enter, ROOT),
            capture_output=True,
            text=True,
            check=False,
        )
        for name in re.findall(r"loading shared library ([^:]+):", result.stderr):
            if name not in present:
                problems.append(f"  {library.relative_to(ROOT)} needs {name}")
    if problems:
        sys.exit(
            "These libraries lack others. Name the Alpine package that has them with "
            "--build-arg RUN_PACKAGES=:\n" + "\n".join(problems)
        )
