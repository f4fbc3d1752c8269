"""The administration."""

import pytest
from django.test import Client

from users.models import User

pytestmark = pytest.mark.django_db


def test_administrator_logs_in_and_sees_users(client: Client) -> None:
    User.objects.create_superuser("ada", password="correct horse battery")
    response = client.post(
        "/admin/login/?next=/admin/users/user/",
        {"username": "ada", "password": "correct horse battery"},
        follow=True,
    )
    assert response.status_code == 200
    assert "ada" in response.content.decode()


def test_wrong_password_is_refused(client: Client) -> None:
    User.objects.create_superuser("ada", password="correct horse battery")
    client.post("/admin/login/", {"username": "ada", "password": "wrong"})
    assert "_auth_user_id" not in client.session


def test_others_are_refused(client: Client) -> None:
    client.force_login(User.objects.create_user("bob"))
    assert client.get("/admin/").status_code == 302
