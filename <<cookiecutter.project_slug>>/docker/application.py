"""Makes the layer of the application, and checks the whole image."""

import json
import os
from pathlib import Path

from check import assemble, check_imports, modules, run
from layers import compile_modules, fix_timestamps, layer, remove_left_out
from settings import django, environ

APP = Path("/app")
app = layer("application", APP)
if any(app.rglob("*.po")):
    django("-m", "django", "compilemessages", "--verbosity", "0")
django("manage.py", "collectstatic", "--noinput", "--verbosity", "0")
# It lists files in the order of the file system, which differs between machines.
for manifest in app.glob("*/staticfiles.json"):
    manifest.write_text(json.dumps(json.loads(manifest.read_text()), sort_keys=True))
remove_left_out("application")
compile_modules("application", APP, keep_sources=True)
# The user that runs the service owns nothing and can write nothing here.
for path in [app, *app.rglob("*")]:
    path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
fix_timestamps("application")

assemble("application")
check_imports(modules(app), environ | {"PYTHONPATH": f"{APP}"})
check = ["check", "--deploy", "--fail-level", "WARNING"]
run("python3", f"{APP}/manage.py", *check, env=environ)
