"""Prints the start page of each project whose folder is read from standard input.

Run by the Python of a project's environment. Each project gets a process of its own,
forked when Django is loaded already: that is what makes hundreds of them quick.
"""

import json
import os
import sys
from pathlib import Path

import django.core.handlers.wsgi
import django.template.defaulttags
import django.test.client
import environs  # noqa: F401


def start_page(project: str) -> str:
    """The HTML of the project's start page."""
    os.chdir(project)
    sys.path.insert(0, f"{project}/src")
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    return (
        django.test.client.Client(headers={"host": "localhost"})
        .get("/")
        .content.decode()
    )


for line in sys.stdin:
    folder = line.strip()
    page = Path(folder) / "start_page.json"
    if (child := os.fork()) == 0:
        with open(os.devnull, "w") as sys.stdout:
            page.write_text(json.dumps(start_page(folder)))
        os._exit(0)
    os.waitpid(child, 0)
    print(flush=True)
