"""URLs of the service; the probes are answered earlier, by `config.health`."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from config.views import index

admin.site.site_header = admin.site.site_title = settings.PROJECT_NAME

urlpatterns = [
    path("", index, name="index"),
    path("admin/", admin.site.urls),
]
if settings.RELOADING:
    urlpatterns.append(path("__reload__/", include("django_browser_reload.urls")))
