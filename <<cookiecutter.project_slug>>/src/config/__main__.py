"""What the image runs: `web`, or any command of manage.py (`migrate`, `check` ...)."""

import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:] == ["web"]:
        # Ahead of gunicorn, which reads WEB_CONCURRENCY too and fails with a traceback.
        django.setup()
        from gunicorn.app.wsgiapp import run

        sys.argv = ["gunicorn", "--config", "python:config.gunicorn", "config.wsgi"]
        run()
    else:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
