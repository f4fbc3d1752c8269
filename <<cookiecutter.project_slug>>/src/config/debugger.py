"""Connects to PyCharm's debug server; in the development container alone."""

import logging
import os
from contextlib import redirect_stderr
from io import StringIO

from config.env import Env

logger = logging.getLogger(__name__)


def attach() -> None:
    """Let the IDE at PYCHARM_DEBUG_HOST, if that is set, debug this process.

    PYCHARM_DEBUG_PORT is 5678 unless set. Nothing is suspended. An IDE that does not
    listen is worth one warning; the next reload tries again.
    https://www.jetbrains.com/help/pycharm/remote-debugging-with-product.html
    """
    env = Env()
    host = env.str("PYCHARM_DEBUG_HOST", default="")
    port = env.int("PYCHARM_DEBUG_PORT", default=5678)
    env.seal()
    if not host:
        return
    # Its compiled parts are not built; Python's own monitoring makes up for them.
    os.environ.setdefault("PYDEVD_USE_CYTHON", "NO")
    os.environ.setdefault("USE_LOW_IMPACT_MONITORING", "YES")
    try:
        import pydevd_pycharm

        # It would print a traceback beside raising it.
        with redirect_stderr(StringIO()):
            pydevd_pycharm.settrace(
                host, port=port, suspend=False, patch_multiprocessing=False
            )
    except (ImportError, OSError) as error:
        logger.warning("Runs without debugger; at %s:%s: %s", host, port, error)
