"""Views that belong to no application."""

import platform

import django
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def index(request: HttpRequest) -> HttpResponse:
    """Show that the service runs; what it runs on is shown in development only."""
    versions = {}
    if settings.DEBUG:
        versions = {
            "Django": django.get_version(),
            "Python": platform.python_version(),
            "Database": connection.display_name,
        }
    return render(
        request,
        "index.html",
        {"project_name": settings.PROJECT_NAME, "versions": versions},
    )
