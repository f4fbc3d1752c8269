"""Requests a page all the time, half over new connections and half over kept ones.

Stands alone, so that a pod can run it: `python load.py ADDRESS HOST SECONDS RETRIES`.
HOST is the name that the service answers to; RETRIES is how often a request is sent
again after its connection broke, as an ingress controller does. Prints a JSON object:
how often which answer came, an answer being a status or the name of an error.
"""

import http.client
import json
import sys
import threading
import time
from collections import Counter

CLIENTS = 8
INTERVAL = 0.1
"""Seconds between two requests of a client: 80 requests a second in all."""


def request(connection: http.client.HTTPConnection, host: str) -> str:
    """The status that came, or the name of the error."""
    headers = {"Host": host, "X-Forwarded-Proto": "https"}
    try:
        connection.request("GET", "/", headers=headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__
    return str(response.status)


def client(
    address: str,
    host: str,
    seconds: float,
    retries: int,
    keep: bool,
    answers: Counter[str],
) -> None:
    """Request for as long as told."""
    connection = http.client.HTTPConnection(address, timeout=30)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(1 + retries):
            answer = request(connection, host)
            if answer.isdigit():
                break
        answers[answer] += 1
        if not keep:
            connection.close()
        time.sleep(INTERVAL)
    connection.close()


def main() -> None:
    """Run all clients to their end."""
    address, host, seconds, retries = sys.argv[1:]
    answers: Counter[str] = Counter()
    threads = [
        threading.Thread(
            target=client,
            args=(address, host, float(seconds), int(retries), bool(n % 2), answers),
        )
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
