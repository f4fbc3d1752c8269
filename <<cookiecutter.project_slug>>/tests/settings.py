"""Settings of the tests: those of development, whatever `.env` says."""

import os

os.environ.update(DEBUG="true", SECRET_KEY="used by nothing but tests " * 2)
os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")

from config.settings import *  # noqa: E402, F403
