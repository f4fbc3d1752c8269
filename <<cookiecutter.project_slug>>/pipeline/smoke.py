"""Requests the start page and all that it loads; runs in the production container."""

import re
from urllib.request import urlopen

ADDRESS = "http://127.0.0.1:8000"


def request(path: str) -> str:
    """The text that is answered, with status 200; else an error ends the script."""
    with urlopen(f"{ADDRESS}{path}") as response:
        return str(response.read().decode())


for probe in ("/livez", "/readyz", "/startupz"):
    request(probe)
files = re.findall(r'(?:href|src)="(/static/[^"]+)"', request("/"))
for file in files:
    request(file)
print(f"The start page and {len(files)} files that it loads are served")
