"""gunicorn's threaded worker, made safe from slow clients and from losing requests."""

import socket
import time
from functools import partial
from selectors import EVENT_READ

from gunicorn.workers.gthread import TConn, ThreadWorker

HEADERS_END = b"\r\n\r\n"
HEADERS_TIMEOUT = 10
"""Seconds that a client may take to send the headers of a request."""
HEADERS_SIZE = 65536
"""Bytes after which a thread decides what is wrong with the headers."""


def has_request(conn: TConn) -> bool:
    """Whether a thread would not have to wait for the headers of the next request.

    They stay in the socket. It becomes readable again only once more has come.
    """
    before = conn.parser.unreader.buf.getvalue() if conn.parser else b""
    try:
        peek = socket.MSG_PEEK | socket.MSG_DONTWAIT
        came = conn.sock.recv(HEADERS_SIZE, peek)
        ended = not came
    except BlockingIOError:
        came, ended = b"", False
    except OSError:
        return True
    ready = ended or len(came) == HEADERS_SIZE or HEADERS_END in before + came
    conn.sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if ready else len(came) + 1
    )
    return ready


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gives a connection to a thread once the headers of a request have arrived.

    gunicorn's own lets the thread wait for them: as many slow clients as there are
    threads would keep everybody else, and the probes, from being answered.
    """

    def enqueue_req(self, conn: TConn) -> None:
        """Have the request answered, now or once its headers are complete."""
        if has_request(conn):
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + HEADERS_TIMEOUT
        self.pending_conns.append(conn)
        readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, EVENT_READ, readable)

    def on_pending_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Have the request answered if its headers are complete now."""
        if has_request(conn):
            super().on_pending_socket_readable(conn, client)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; at the end, those that wait are the last ones.

        gunicorn's own leaves them waiting, and resets them when the worker has ended.
        """
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        for listener in self.sockets:
            before = -1
            while before != self.nr_conns:
                before = self.nr_conns
                self.accept(listener)
            listener.close()
