"""The service's settings, as far as the build needs them."""

import subprocess
import sys

APP = "/layers/application/app"
# Valid, but of no use to anybody; none of it stays in the image.
environ = {
    "DATABASE_URL": "sqlite:////tmp/db.sqlite3",
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "PATH": "/usr/local/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SECRET_KEY": "0123456789 only for the build abcdefghijklmnopqrstuvwxyz",
}


def django(*arguments: str) -> str:
    """The output of Python with the service's code, as long as it is still complete."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=APP,
        # For msgfmt, which compiles messages.
        env=environ | {"PATH": "/usr/local/bin:/usr/bin:/bin"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def languages() -> set[str]:
    """The codes of settings.LANGUAGES."""
    script = "from config.settings import LANGUAGES; print(*dict(LANGUAGES))"
    return set(django("-c", script).split())
