"""gunicorn in a container: https://docs.gunicorn.org/en/stable/settings.html.

WEB_CONCURRENCY sets the number of processes and WEB_THREADS that of threads in each.
"""

import gc
import signal
from types import FrameType

from config.health import HealthMiddleware
from config.settings import LOGGING, WEB_CONCURRENCY, WEB_THREADS

bind = "0.0.0.0:8000"  # noqa: S104
workers = WEB_CONCURRENCY
threads = WEB_THREADS
worker_class = "config.worker.Worker"

# Loaded once and shared by all processes.
preload_app = True
# The root file system is read-only; this one is in memory.
worker_tmp_dir = "/dev/shm"  # noqa: S108
control_socket_disable = True

# Shorter than an orchestrator waits before it kills (30 seconds, less preStop's delay).
graceful_timeout = 20
# Longer than proxies keep idle connections, so that it is they who close them.
keepalive = 75
# Memory that leaks is given back, not by all processes at once.
max_requests = 10000
max_requests_jitter = 1000

# `config.request_log` has one line for each request.
accesslog = None
logconfig_dict = LOGGING


def when_ready(server: object) -> None:
    """Keep the garbage collector from touching, and so copying, the shared memory."""
    gc.collect()
    gc.freeze()


def post_worker_init(worker: object) -> None:
    """Make /readyz answer 503 from SIGTERM on, while requests in flight end."""
    stop = signal.getsignal(signal.SIGTERM)

    def stopping(number: int, frame: FrameType | None) -> None:
        HealthMiddleware.stopping = True
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, stopping)
