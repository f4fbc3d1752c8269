"""The pages that people see."""

import pytest
from django.conf import LazySettings, settings
from django.test import Client
from django.utils.html import escape

import config.views


def test_start_page_shows_the_name(client: Client) -> None:
    page = client.get("/").content.decode()
    assert f"<h1>{escape(settings.PROJECT_NAME)}</h1>" in page


@pytest.mark.parametrize("debug", [True, False])
def test_versions_are_shown_in_development_only(
    client: Client, settings: LazySettings, debug: bool
) -> None:
    settings.DEBUG = debug
    page = client.get("/").content.decode()
    assert ("<dt>Django</dt>" in page) is debug


def test_content_security_policy_admits_own_files_only(client: Client) -> None:
    response = client.get("/")
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    page = response.content.decode()
    assert "<script" not in page
    assert "<style" not in page
    assert "//" not in page


def test_missing_page_has_a_page(client: Client) -> None:
    response = client.get("/missing/")
    assert response.status_code == 404
    assert "<h1>Page not found</h1>" in response.content.decode()


def test_error_has_a_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(config.views, "render", fail)
    client.raise_request_exception = False
    response = client.get("/")
    assert response.status_code == 500
    assert "<h1>Server error</h1>" in response.content.decode()
    assert "secret detail" not in response.content.decode()
