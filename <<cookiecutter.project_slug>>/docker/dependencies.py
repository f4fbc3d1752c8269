"""Makes the layers of Python and of the dependencies, and checks them."""

import shutil
import subprocess
from pathlib import Path

from check import assemble, check_imports, check_libraries, modules
from layers import (
    LIBRARY,
    PACKAGES,
    PREFIX,
    compile_modules,
    fix_timestamps,
    layer,
    remove_left_out,
    remove_translations,
)
from settings import environ, languages

shutil.copytree(PREFIX, layer("python", PREFIX), symlinks=True)
remove_left_out("python")
packages = layer("dependencies", PACKAGES)
packages.parent.mkdir(parents=True)
layer("python", PACKAGES).rename(packages)
libraries = [*packages.rglob("*.so"), *layer("python", PREFIX).rglob("*.so*")]
# The build id would differ from build to build.
strip = ["strip", "--strip-unneeded", "--remove-section=.note.gnu.build-id"]
subprocess.run([*strip, *libraries], check=True)
compile_modules("python", LIBRARY)
compile_modules("dependencies", PACKAGES)
remove_translations("dependencies", languages())
remove_left_out("system")
for name in ("system", "python", "dependencies"):
    fix_timestamps(name)
    assemble(name)
check_libraries()
check_imports(modules(packages), environ, elsewhere=Path("/"))
