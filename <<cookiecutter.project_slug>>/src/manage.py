#!/usr/bin/env python
"""Django's command-line utility: `manage.py help` lists its commands."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # The process that serves, not the one that reloads it.
    if os.environ.get("RUN_MAIN") == "true" or "--noreload" in sys.argv:
        from config.debugger import attach

        attach()
    execute_from_command_line(sys.argv)
