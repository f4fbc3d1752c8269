"""The worker, in a server of its own: in the container, which has gunicorn."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

pytest.importorskip("gunicorn", reason="gunicorn is in the container alone")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Where a server listens that has one process with two threads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    environ = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}",
        "WEB_CONCURRENCY": "1",
        "WEB_THREADS": "2",
    }
    command = [sys.executable, "-m", "config", "web"]
    server = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environ)  # noqa: S603
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        assert server.wait(30) == 0


def test_slow_clients_keep_nobody_waiting(port: int) -> None:
    with contextlib.ExitStack() as clients:
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", port))
            clients.enter_context(client).sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        address = f"http://127.0.0.1:{port}/livez"
        with urllib.request.urlopen(address, timeout=5) as response:
            assert response.status == 200


def test_headers_that_come_in_pieces_are_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        for piece in (b"GET /livez HTTP/1.1\r\n", b"Host: localhost\r\n", b"\r", b"\n"):
            client.sendall(piece)
            time.sleep(0.1)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
