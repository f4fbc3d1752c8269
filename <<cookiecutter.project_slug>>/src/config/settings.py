"""Settings, read from environment variables (https://12factor.net/config).

Every variable NAME can also come from a file, named by NAME_FILE. In development,
`.env` beside `src/` provides what the environment does not.
https://docs.djangoproject.com/en/<< cookiecutter.django_version >>/ref/settings/
"""

import logging
from importlib.util import find_spec
from pathlib import Path

from environs import validate

from config.env import Env

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(BASE_DIR.parent / ".env", recurse=False)

PROJECT_NAME = << cookiecutter.__project_name_literal >>
DOMAIN_NAME = "<< cookiecutter.domain_name >>"

# Security -----------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", validate=validate.Length(min=50))

ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS",
    default=[".localhost", "127.0.0.1", "[::1]"] if DEBUG else [DOMAIN_NAME],
)
CSRF_TRUSTED_ORIGINS = env.list(
    "CSRF_TRUSTED_ORIGINS",
    default=[
        f"https://{'*' if host.startswith('.') else ''}{host}"
        for host in ALLOWED_HOSTS or []
    ],
)

# The proxy must set or remove this header on every request, or clients can forge it.
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not DEBUG)

# Browsers remember this for a year: start with an hour if the domain or one of its
# subdomains has ever been served without TLS.
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0 if DEBUG else 31536000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True

SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
LANGUAGE_COOKIE_SECURE = not DEBUG
X_FRAME_OPTIONS = "DENY"

<% if cookiecutter.django_version == "5.2" %>
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
<% else %>
SECURE_CSP = {
    "default-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
<% endif %>

# Application --------------------------------------------------------------------

INSTALLED_APPS = [
    # For its command `migrate`.
    "config",
    "users",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# Installed in the development container alone: reloads server and browser at once.
RELOAD = ["django_browser_reload", "django_watchfiles"]
RELOADING = DEBUG and all(map(find_spec, RELOAD))
if RELOADING:
    INSTALLED_APPS += RELOAD

MIDDLEWARE = [
    # Probes come by IP address and without TLS: ahead of every check of both.
    "config.health.HealthMiddleware",
    "config.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
<% if cookiecutter.django_version == "5.2" %>
    "csp.middleware.CSPMiddleware",
<% else %>
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
<% endif %>
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

if RELOADING:
    MIDDLEWARE.append("django_browser_reload.middleware.BrowserReloadMiddleware")

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_USER_MODEL = "users.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in [
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    ]
]

# Database -----------------------------------------------------------------------

DATABASE = env.dj_db_url(
    "DATABASE_URL",
    f"sqlite:///{BASE_DIR.parent / 'db.sqlite3'}" if DEBUG else ...,
    conn_max_age=env.int("CONN_MAX_AGE", default=60),
    conn_health_checks=True,
)
if DATABASE and DATABASE["ENGINE"] == "django.db.backends.postgresql":
    # Fail fast, so that a probe learns that the database is away (libpq's names;
    # seconds and milliseconds).
    DATABASE["OPTIONS"] = {
        "connect_timeout": 2,
        "tcp_user_timeout": 5000,
        **DATABASE.get("OPTIONS", {}),
    }
DATABASES = {"default": DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Server -------------------------------------------------------------------------

# For one CPU; the CPUs that a container sees are all of its node's.
WEB_CONCURRENCY = env.int("WEB_CONCURRENCY", default=2, validate=validate.Range(min=1))
WEB_THREADS = env.int("WEB_THREADS", default=4, validate=validate.Range(min=1))

# Language and time --------------------------------------------------------------

LANGUAGE_CODE = "en-us"
LANGUAGES = [("en", "English")]
TIME_ZONE = "UTC"

# Static files -------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# Logging ------------------------------------------------------------------------

LOG_LEVEL = env.log_level("LOG_LEVEL", default=logging.INFO)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "no_probes": {"()": "config.health.ProbeFilter"},
        "request_id": {"()": "config.request_log.RequestIdFilter"},
    },
    "formatters": {
        "readable": {
            "format": "{asctime} {levelname:7} {name} {message}",
            "datefmt": "%H:%M:%S",
            "style": "{",
        },
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "{levelname}{name}{message}{request_id}",
            "style": "{",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": True,
        },
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "filters": ["no_probes", "request_id"],
            "formatter": "readable" if DEBUG else "json",
        },
    },
    "root": {"handlers": ["stdout"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        # `request_log` has one line for every request already.
        "django.request": {"level": "ERROR"},
        "django.server": {"handlers": [], "propagate": True, "level": "ERROR"},
        "gunicorn.error": {"handlers": [], "propagate": True},
    },
}

env.seal()
