"""Looks the locked requirements up among the known vulnerabilities.

Runs in the development container. Ends with status 1 if a requirement is vulnerable,
there is a version that is not, and pipeline/ignore.txt does not name the finding; with
2 if that file names one without a reason or a day; with 3 if the list is out of reach.
"""

import json
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

IGNORE = Path("pipeline/ignore.txt")
# All that is locked anywhere.
LOCK = "requirements/dev.txt"


def ignored() -> set[str]:
    """The findings that are put up with today."""
    today = datetime.now(UTC).date().isoformat()
    found, problems, above = set(), [], ""
    for number, line in enumerate(IGNORE.read_text().splitlines(), 1):
        where = f"{IGNORE}:{number}: {line!r}"
        if line.strip() and not line.startswith("#"):
            entry = re.fullmatch(r"(\S+) exp:(\d{4}-\d\d-\d\d)", line)
            if not entry:
                problems.append(f"{where} is not `ID exp:YYYY-MM-DD`")
            elif entry[2] > today:
                found.add(entry[1])
            if not re.match("# +[^ ]", above):
                problems.append(f"{where} has no reason above it")
        above = line
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        sys.exit(2)
    return found


def main() -> None:
    """Look all of them up, and report what can be mended."""
    known = ignored()
    options = ["--require-hashes", "--disable-pip", "--format=json"]
    # pip-audit keeps nothing in a folder that others can write to, such as /tmp.
    with tempfile.TemporaryDirectory() as cache:
        options += ["--progress-spinner=off", f"--cache-dir={cache}"]
        audit = subprocess.run(
            ["pip-audit", f"--requirement={LOCK}", *options],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        dependencies = json.loads(audit.stdout)["dependencies"]
    except ValueError:
        print(*audit.stderr.splitlines()[-1:], file=sys.stderr)
        sys.exit(3)
    unknown = [one["name"] for one in dependencies if "skip_reason" in one]
    if unknown:
        print("Not to be found on PyPI:", *unknown, file=sys.stderr)
    if len(unknown) == len(dependencies):
        sys.exit(3)
    findings = [
        f"  {one['name']} {one['version']}: {vulnerability['id']}, fixed in "
        + " and ".join(vulnerability["fix_versions"])
        for one in dependencies
        for vulnerability in one.get("vulns", [])
        if vulnerability["fix_versions"]
        and not known & {vulnerability["id"], *vulnerability["aliases"]}
    ]
    if findings:
        heading = f"Known vulnerabilities in {LOCK}; `make upgrade` may mend them:"
        sys.exit("\n".join([heading, *findings]))
    looked_up = len(dependencies) - len(unknown)
    print(f"{LOCK}: nothing to be mended in {looked_up} packages")


if __name__ == "__main__":
    main()
