"""The user model.

A custom one from the first migration, since it can hardly be changed later:
https://docs.djangoproject.com/en/<< cookiecutter.django_version >>/topics/auth/customizing/#substituting-a-custom-user-model
"""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A user of the service."""
