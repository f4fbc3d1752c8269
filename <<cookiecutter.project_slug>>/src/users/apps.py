"""Configuration of the application `users`."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    """Custom user model and its admin."""

    name = "users"
