"""Settings of the lab. What differs between machines comes from the environment.

DEBUG         true on your own machine and nowhere else (false)
SECRET_KEY    required unless DEBUG; 50 characters or more
SECRET_KEY_FALLBACKS  former keys whose signatures are still valid, separated by commas (none)
ALLOWED_HOSTS names of the site, separated by commas (none; with DEBUG: localhost)
BEHIND_PROXY  true if a proxy that sets X-Forwarded-Proto and -For is the only way in (false)
DATABASE_URL  sqlite:///…, postgres://… or mysql://… (required unless DEBUG; then lab/db.sqlite3)
CORS_ORIGINS  front ends of other origins that may read the API, separated by commas (none)
CACHE_URL     redis://… (the memory of the process)
BROKER_URL    of the worker: redis://… or amqp://… (none)
"""

import datetime
from pathlib import Path
from typing import Any

import django
import pymysql
from corsheaders.defaults import default_headers

from lab import environment

pymysql.install_as_MySQLdb()  # the driver for MySQL and MariaDB that needs no compiler

BASE_DIR = Path(__file__).resolve().parent

# --8<-- [start:environment]
DEBUG = environment.read("DEBUG", environment.boolean, default="false")
SECRET_KEY = environment.read(
    "SECRET_KEY",
    environment.secret,
    default="for-your-own-machine-only-" * 2 if DEBUG else None,
)
SECRET_KEY_FALLBACKS = environment.read(
    "SECRET_KEY_FALLBACKS", environment.words, default=""
)
ALLOWED_HOSTS = environment.read("ALLOWED_HOSTS", environment.words, default="")
BEHIND_PROXY = environment.read("BEHIND_PROXY", environment.boolean, default="false")
DATABASES = {
    "default": {
        "CONN_MAX_AGE": 60,  # seconds; the URL may say otherwise: ?conn_max_age=0
        "CONN_HEALTH_CHECKS": True,
        **environment.read(
            "DATABASE_URL",
            environment.database,
            default=f"sqlite:///{BASE_DIR}/db.sqlite3" if DEBUG else None,
        ),
    }
}
CACHES = {
    "default": environment.read(
        "CACHE_URL", environment.cache, default="locmemcache://"
    )
}
CELERY_BROKER_URL = environment.read("BROKER_URL", environment.broker, default="")
# --8<-- [end:environment]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "django_filters",
    "drf_spectacular",
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_simplejwt.token_blacklist",
    "strawberry_django",
    "lab.academy",
    "lab.caching",
    "lab.django_app",
    "lab.graphql_api",
    "lab.rest_apis",
]

# --8<-- [start:middleware]
MIDDLEWARE = [
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# --8<-- [end:middleware]

ROOT_URLCONF = "lab.urls"
WSGI_APPLICATION = "lab.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTH_USER_MODEL = "academy.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "my_courses"
LOGOUT_REDIRECT_URL = "course_list"

# --8<-- [start:rest_framework]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": "120/min",
        "user": "600/min",
        "sign_in_address": "20/min",
        "sign_in_account": "20/hour",
    },
    "NUM_PROXIES": 1 if BEHIND_PROXY else 0,
    "DEFAULT_PAGINATION_CLASS": "lab.rest_apis.pagination.Pages",
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.NamespaceVersioning",
    "DEFAULT_PARSER_CLASSES": ["lab.rest_apis.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "lab.rest_apis.openapi.Schema",
    "EXCEPTION_HANDLER": "lab.rest_apis.errors.problem",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# --8<-- [end:rest_framework]

# --8<-- [start:spectacular]
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Academy",
    "VERSION": None,  # the version of the URLs: v1
    "COMPONENT_SPLIT_REQUEST": True,  # what goes in is not what comes out
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "lab.rest_apis.openapi.null_as_in_3_1",
        "lab.rest_apis.openapi.with_examples",
    ],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
}
# --8<-- [end:spectacular]

# --8<-- [start:cors]
CORS_ALLOWED_ORIGINS = environment.read("CORS_ORIGINS", environment.origins, default="")
CORS_URLS_REGEX = r"^/(api|graphql)/"
CORS_ALLOW_HEADERS = [
    *default_headers,
    "idempotency-key",
    "if-match",
    "if-none-match",
]
CORS_EXPOSE_HEADERS = ["ETag", "Location", "Retry-After"]
# --8<-- [end:cors]

# --8<-- [start:tokens]
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": datetime.timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": datetime.timedelta(days=1),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "CHECK_REVOKE_TOKEN": True,  # a new password ends all tokens
    "TOKEN_OBTAIN_SERIALIZER": "lab.rest_apis.tokens.ObtainSerializer",
    "TOKEN_REFRESH_SERIALIZER": "lab.rest_apis.tokens.RefreshSerializer",
}
# --8<-- [end:tokens]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

# --8<-- [start:static]
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage."
        + ("StaticFilesStorage" if DEBUG else "ManifestStaticFilesStorage")
    },
}
# --8<-- [end:static]

mail = f"django.core.mail.backends.{'console' if DEBUG else 'smtp'}.EmailBackend"
if django.VERSION < (6, 1):
    EMAIL_BACKEND = mail
else:
    MAILERS = {"default": {"BACKEND": mail}}

# --8<-- [start:https]
SECURE_SSL_REDIRECT = not DEBUG
SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = not DEBUG
SECURE_HSTS_PRELOAD = not DEBUG
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_REDIRECT_EXEMPT = [r"^health/"]  # probes come without the proxy, over HTTP
# --8<-- [end:https]

# --8<-- [start:logging]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # Django's own handler would print each line a second time.
    "loggers": {"django": {"handlers": [], "level": "INFO"}},
}
# --8<-- [end:logging]
