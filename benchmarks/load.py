"""Requests a page as often as it is answered, over connections that are kept.

Stands alone, to run in any container with Python:
`python load.py ADDRESS COOKIE CONNECTIONS SECONDS`. Prints a JSON object: requests a
second, the milliseconds within which half of them, and 99 of 100, were answered, and
how many answers came in all, with those of the time to warm up.
Ends with status 1 if an answer is not 200.
"""

import asyncio
import json
import re
import statistics
import sys
import time
from urllib.parse import urlsplit

WARM_UP = 1
"""Seconds of requests that are not counted."""


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The head of the next answer; its body is read and left."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    await reader.readexactly(int(length[1]))
    return head


async def client(
    host: str, port: int, request: bytes, end: float, answers: list[tuple[float, float]]
) -> None:
    """Request one page after the other; anew where the server ended the connection.

    Adds to the answers when each was asked for, and how long it took.
    """
    writer = None
    while (started := time.perf_counter()) < end:
        if not writer:
            reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(request)
            head = await answer(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            head = b"\r\nconnection: close"
        else:
            if not head.startswith(b"HTTP/1.1 200 "):
                sys.exit(head.decode())
            answers.append((started, time.perf_counter() - started))
        if re.search(rb"\r\nconnection: *close", head, re.I):
            writer.close()
            writer = None
    if writer:
        writer.close()


async def main() -> None:
    """Run all connections at once, and print what was measured."""
    address, cookie, connections, seconds = sys.argv[1:]
    url = urlsplit(address)
    request = (
        f"GET {url.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n"
        "X-Forwarded-Proto: https\r\nAccept-Encoding: gzip\r\n\r\n"
    ).encode()
    begin = time.perf_counter() + WARM_UP
    end = begin + float(seconds)
    answers: list[tuple[float, float]] = []
    clients = (
        client(url.hostname, url.port, request, end, answers)
        for _ in range(int(connections))
    )
    await asyncio.gather(*clients)
    took = [seconds for started, seconds in answers if started >= begin]
    percentiles = statistics.quantiles(took, n=100)
    print(
        json.dumps(
            {
                "requests": len(took) / float(seconds),
                "p50": percentiles[49] * 1000,
                "p99": percentiles[98] * 1000,
                "answers": len(answers),
            }
        )
    )


asyncio.run(main())
