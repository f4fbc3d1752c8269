"""Refuses a cookiecutter that is too old to find the template's folder."""

import sys
from importlib.metadata import version

installed = version("cookiecutter")
if tuple(int(part) for part in installed.split(".")[:2]) < (2, 6):
    sys.exit(
        f"slim-django needs cookiecutter 2.6 or newer, this is {installed}.\n"
        "Upgrade it (pipx upgrade cookiecutter), or run: pipx run cookiecutter ..."
    )
