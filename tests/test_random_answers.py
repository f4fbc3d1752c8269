"""Any answers give a clear refusal with nothing on disk, or a project that works."""

import html
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
import yaml
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .conftest import clean_environ, environment, generate, template

NASTY = [
    *("'", '"', "`", "\\", "{{ x }}", "{% x %}", "{# x", "<< x >>", "<% x %>", "<# x"),
    *(
        "${HOME}",
        "$(id)",
        "&",
        "<b>",
        "</h1>",
        "<!--",
        "*",
        "[a](b)",
        "|",
        ">",
        "#",
        ": ",
    ),
    *(
        "- ",
        "!!x",
        "%",
        "@",
        "\n",
        "\r",
        "\t",
        "\x00",
        "ü",
        "服务",
        "🦄",
        "\u202e",
        "\ud800",
    ),
]
names = st.lists(st.sampled_from(NASTY) | st.text(max_size=8), max_size=8).map("".join)
texts = st.one_of(names, st.text(max_size=400))
slugs = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True)
domains = st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9-]{1,20}){1,3}", fullmatch=True)
images = st.from_regex(
    r"[a-z0-9.]{1,20}(:[0-9]{2,5})?(/[a-z0-9_.-]{1,9}){1,3}", fullmatch=True
)


@pytest.fixture(scope="module")
def start_page(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Path], str]]:
    """The start page of a project, rendered by a process that stays."""
    project = generate(tmp_path_factory.mktemp("environment"))
    environment(project, "5.2")
    with subprocess.Popen(
        [project / ".venv/bin/python", Path(__file__).parent / "start_pages.py"],
        env=clean_environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def render(path: Path) -> str:
            print(path, file=process.stdin, flush=True)
            process.stdout.readline()
            return json.loads((path / "start_page.json").read_text())

        yield render
        process.stdin.close()


def typed(folder: str, answers: list[str]) -> Path:
    """Generate a project from answers that were typed, not given as arguments."""
    given_answers = iter(answers)
    with (
        patch("cookiecutter.prompt.read_user_variable", lambda *_: next(given_answers)),
        patch(
            "cookiecutter.prompt.read_user_choice", lambda _, options, *__: options[0]
        ),
    ):
        return Path(cookiecutter(template(), output_dir=folder))


@pytest.mark.parametrize("part", range(4))
@given(
    name=texts,
    slug=st.one_of(slugs, slugs, slugs, texts),
    domain=st.one_of(domains, domains, domains, texts),
    image=st.one_of(images, images, images, texts),
)
@example(name='O\'Brien & "Söhne"', slug="a", domain="a.b", image="a")
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_answers(
    start_page: Callable[[Path], str],
    part: int,
    name: str,
    slug: str,
    domain: str,
    image: str,
) -> None:
    with TemporaryDirectory() as folder:
        try:
            project = typed(folder, [name, slug, domain, image])
        except FailedHookException as refused:
            assert re.match(r"(project_|domain_|image_)\w+: ", str(refused))  # noqa: PT017
            assert os.listdir(folder) == []
            return
        page = start_page(project)
        (heading,) = re.findall("<h1>(.*)</h1>", page)
        assert html.unescape(heading) == name
        for path in project.rglob("*.yaml"):
            list(yaml.safe_load_all(path.read_text()))
