"""Checks the answers, and reports all that is wrong with them at once.

cookiecutter loads this file twice: as a Jinja extension, whose filter `checked` refuses
wrong answers as soon as the last one is given, before anything is on disk; and as the
hook, for answers that come from a replay file.
"""

import json
import keyword
import re
import sys

from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension

# The packages in src/ and those that the locked requirements bring.
IMPORTED = set(
    """
    anyio asgiref ast_serialize boolean build cachecontrol certifi
    charset_normalizer click config coverage csp cyclonedx defusedxml
    dj_database_url django django_browser_reload django_stubs django_stubs_ext
    django_watchfiles dotenv environs filelock gunicorn idna iniconfig librt
    license_expression markdown_it marshmallow mdurl msgpack mypy mypy_extensions
    packageurl packaging pathspec pip pip_api pip_audit pip_requirements_parser
    piptools platformdirs pluggy psycopg2 py_serializable pydevd_pycharm pygments
    pyparsing pyproject_hooks pytest pytest_cov pytest_django pythonjsonlogger
    requests rich ruff setuptools sortedcontainers sqlparse static templates tests
    tomli tomli_w typing_extensions urllib3 users watchfiles wheel whitenoise yaml
    """.split()  # noqa: SIM905
)
HOST_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
PATH_COMPONENT = r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"


def project_name(answer: str) -> str | None:
    """What people read: free text, for it is escaped wherever it is written."""
    if not answer.strip():
        return "is empty"
    if answer != answer.strip():
        return "begins or ends with a space"
    if len(answer) > 60:
        return "is longer than 60 characters"
    if not answer.isprintable():
        return "contains a control character or another that cannot be printed"
    return None


def project_slug(answer: str) -> str | None:
    """A name for a folder, a database and, one day, a Python package."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", answer):
        return "is not a lower-case letter and up to 39 of a-z, 0-9 and _"
    if keyword.iskeyword(answer) or keyword.issoftkeyword(answer):
        return "is a Python keyword"
    if answer in sys.stdlib_module_names:
        return "is a module of Python's standard library"
    if answer in IMPORTED:
        return "is a package that the project contains or depends on"
    return None


def domain_name(answer: str) -> str | None:
    """A host name of two labels or more (RFC 1123), in lower case."""
    if len(answer) > 253 or not re.fullmatch(rf"{HOST_LABEL}(\.{HOST_LABEL})+", answer):
        return "is not a valid host name in lower case"
    return None


def image_repository(answer: str) -> str | None:
    """A repository as the OCI distribution specification has it, without tag."""
    registry = rf"({HOST_LABEL}(\.{HOST_LABEL})*(:[0-9]{{1,5}})?/)?"
    path = rf"{PATH_COMPONENT}(/{PATH_COMPONENT})*"
    if len(answer) > 255 or not re.fullmatch(registry + path, answer):
        return "is not a valid image repository without tag, in lower case"
    return None


EXAMPLES = {
    project_name: "My Service",
    project_slug: "my_service",
    domain_name: "my-service.example.com",
    image_repository: "ghcr.io/org/my-service",
}


def checked(answers: dict[str, str]) -> str:
    """Raise FailedHookException, with one line for each problem of the answers."""
    problems = [
        f"{check.__name__}: {answer[:80]!r} {problem}, unlike {example!r}"
        for check, example in EXAMPLES.items()
        if (problem := check(answer := answers[check.__name__]))
    ]
    if problems:
        raise FailedHookException("\n".join(problems))
    return "yes"


class Answers(Extension):
    """Provides the filter `checked` to cookiecutter.json."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["checked"] = checked


if __name__ == "__main__":
    # `tojson` escapes quotes and brackets: no answer can leave this string.
    answers = r"""<< cookiecutter | tojson >>"""
    if not answers.startswith("{"):
        # Before 2.6, cookiecutter knew no other delimiters in hooks.
        sys.exit(
            "slim-django needs cookiecutter 2.6 or newer.\n"
            "Upgrade it (pipx upgrade cookiecutter), or run: pipx run cookiecutter ..."
        )
    try:
        checked(json.loads(answers))
    except FailedHookException as error:
        sys.exit(str(error))
