"""
Settings: one page, driven by environment variables. Without any, this is one machine with an embedded PostgreSQL.

    FLINT_DATA            folder of the embedded database and of what `manage.py up` keeps
    FLINT_DEBUG           1 for development: error pages, readable logs; loopback only
    FLINT_SECRET_KEY      signs sessions and links; required unless `up` keeps one in FLINT_DATA
    FLINT_ENCRYPTION_KEYS seal stored secrets, separated by commas; the first seals, all unseal; else the secret key
    FLINT_HOSTS           names this install answers to, separated by commas
    FLINT_BASE_URL        public address, used in links
    FLINT_INTERNAL_URL    where our own processes reach the web server, when not there
    FLINT_BROKER_URL      Celery broker, when it is neither REDIS_URL nor the database
    DATABASE_URL          PostgreSQL 15 or newer, in place of the embedded one
    DATABASE_REPLICA_URL  a read replica of it, for reports
    REDIS_URL             Celery broker and cache, in place of the database and the process's memory
    FLINT_METRICS_TOKEN   what Prometheus sends to be given /metrics; without one only this machine's own install tells
    FLINT_METRICS_DIR     a folder where the processes of one machine keep their measurements side by side
    FLINT_OTEL_ENDPOINT   an OpenTelemetry collector that takes OTLP over HTTP; FLINT_OTEL_SERVICE is our name there
    STRIPE_TIMEOUT        seconds that Stripe has for an answer
    STRIPE_API_BASE       a server that speaks Stripe's API, for keys entered in the admin, if not Stripe's own
    EMAIL_URL             where mails go, such as smtp+tls://user:password@mail.example.com:587; else printed
    FLINT_EMAIL_FROM      the address that they come from
    FLINT_MESSAGES_KEPT_DAYS  days for which it is kept to whom a message was sent
    FLINT_EXAMPLE_API_KEY the sandbox key that /examples/ sells with; else that of the demo merchant that `up` makes
    FLINT_WEBHOOK_NETWORKS  networks of yours that webhook endpoints may be in, such as 10.20.0.0/16; else public ones
    FLINT_WEBHOOK_STREAMS  how many streams of webhook events a web process may hold open, each on a thread of its own
    FLINT_WEBHOOKS_KEPT_DAYS  days for which it is kept what webhook endpoints were told
    FLINT_NOTICES_KEPT_DAYS  days for which a processor's notices are kept once nothing is left to do about them
"""

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from flint import logs
from flint.api.spectacular_settings import SPECTACULAR_SETTINGS  # noqa: F401
from flint.home import Home

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
HOME = Home.of_environment()
LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]
IS_EMBEDDED = not env.str("DATABASE_URL", default="")

# Safety

DEBUG = env.bool("FLINT_DEBUG", default=False)
BASE_URL = env.str("FLINT_BASE_URL", default="http://localhost:8000").rstrip("/")
INTERNAL_URL = env.str("FLINT_INTERNAL_URL", default=BASE_URL).rstrip("/")
ALLOWED_HOSTS = env.list("FLINT_HOSTS", default=LOOPBACK if DEBUG or IS_EMBEDDED else [])
SECRET_KEY = env.str("FLINT_SECRET_KEY", default="") or (HOME.secret_key if IS_EMBEDDED else "")
DEBUG_SECRET_KEY = "not-a-secret-for-development-on-this-machine-only"

if DEBUG and not set(ALLOWED_HOSTS) <= {*LOOPBACK, "testserver"}:
    raise ImproperlyConfigured(
        "FLINT_DEBUG shows internals to whoever can reach this server: unset it, or leave FLINT_HOSTS to localhost."
    )
if DEBUG:
    SECRET_KEY = SECRET_KEY or DEBUG_SECRET_KEY
elif not SECRET_KEY:
    raise ImproperlyConfigured(
        "Set FLINT_SECRET_KEY to 50 random characters, the same for every process of this install; "
        "or run `manage.py up`, which keeps one; or set FLINT_DEBUG=1 for development."
    )
elif len(SECRET_KEY) < 32 or len(set(SECRET_KEY)) < 8 or SECRET_KEY == DEBUG_SECRET_KEY:
    raise ImproperlyConfigured("FLINT_SECRET_KEY can be guessed: use 50 random characters.")
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("Set FLINT_HOSTS to the names this install answers to, such as pay.example.com.")
for name, url in {"FLINT_BASE_URL": BASE_URL, "FLINT_INTERNAL_URL": INTERNAL_URL}.items():
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ImproperlyConfigured(f"{name} is not an http(s) address.")

ENCRYPTION_KEYS = env.list("FLINT_ENCRYPTION_KEYS", default=[]) or [SECRET_KEY]
if any(len(key) < 32 or len(set(key)) < 8 for key in ENCRYPTION_KEYS):
    raise ImproperlyConfigured("A key in FLINT_ENCRYPTION_KEYS can be guessed: use 50 random characters, no comma.")
STRIPE_TIMEOUT = env.float("STRIPE_TIMEOUT", default=30.0)
METRICS_TOKEN = env.str("FLINT_METRICS_TOKEN", default="")
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("FLINT_METRICS_TOKEN can be guessed: use 16 random characters or more.")
METRICS_DIR = env.str("FLINT_METRICS_DIR", default="")
OTEL_ENDPOINT = env.str("FLINT_OTEL_ENDPOINT", default="").rstrip("/")
OTEL_SERVICE = env.str("FLINT_OTEL_SERVICE", default="flint")
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="").rstrip("/")
NOTICES_KEPT_DAYS = env.int("FLINT_NOTICES_KEPT_DAYS", default=90)
WEBHOOK_STREAMS = env.int("FLINT_WEBHOOK_STREAMS", default=1)
WEBHOOKS_KEPT_DAYS = env.int("FLINT_WEBHOOKS_KEPT_DAYS", default=30)
try:
    WEBHOOK_NETWORKS = [ipaddress.ip_network(each.strip()) for each in env.list("FLINT_WEBHOOK_NETWORKS", default=[])]
except ValueError as problem:
    raise ImproperlyConfigured(f"FLINT_WEBHOOK_NETWORKS: {problem}; write networks such as 10.20.0.0/16.") from None

EXAMPLE_API_KEY = env.str("FLINT_EXAMPLE_API_KEY", default="")

IS_HTTPS = BASE_URL.startswith("https://")
# Health checks come from this machine, sandbox notices from a worker.
ALLOWED_HOSTS = [*ALLOWED_HOSTS, *LOOPBACK, urlsplit(INTERNAL_URL).hostname]
CSRF_TRUSTED_ORIGINS = [BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if IS_HTTPS else 0
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# What there is

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_fsm",
    "pgtrigger",
    "rest_framework",
    "drf_spectacular",
    "flint",
    "flint.merchants",
    "flint.api",
    "flint.events",
    "flint.reports",
    "flint.messages",
    "orders",
    "invoices",
    "payments",
    "payments.processors.sandbox",
    "payments.processors.stripe",
    "refunds",
]

MIDDLEWARE = [
    "flint.observing.ObservingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "flint.api.middleware.ApiMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "flint.urls"
WSGI_APPLICATION = "flint.wsgi.application"
APPEND_SLASH = False

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
            ]
        },
    }
]

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "flint.api.schema.FlintSchema",
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "flint.api.errors.handle",
}

LOGIN_REDIRECT_URL = "admin:index"
UNFOLD = {
    "SITE_TITLE": "Flint",
    "SITE_HEADER": "Flint",
    "SITE_SUBHEADER": "Orders, payments, refunds",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "STYLES": ["flint.admin.stylesheet"],
    "SIDEBAR": {"navigation": "flint.admin.navigation"},
    "DASHBOARD_CALLBACK": "flint.dashboard.context",
}

# Where things are kept


def database(name: str) -> dict:
    """Read one database's address. Money moves under row locks at READ COMMITTED, in transactions that verbs open."""
    found = env.db(name) if os.environ.get(name) else HOME.database.settings()
    found |= {"CONN_MAX_AGE": 300, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}
    found["OPTIONS"] = {"connect_timeout": 5, "application_name": "flint", **found.get("OPTIONS", {})}
    return found


DATABASES = {"default": database("DATABASE_URL")}
# Reports, and nothing else, read from the replica; without one, from the main database by a connection of their own.
REPORTS_URL = "DATABASE_REPLICA_URL" if os.environ.get("DATABASE_REPLICA_URL") else "DATABASE_URL"
DATABASES["reports"] = database(REPORTS_URL) | {"TEST": {"MIRROR": "default"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
BROKER_URL = env.str("FLINT_BROKER_URL", default=REDIS_URL or "postgresql")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # Served from the packages themselves: nothing to collect.
WHITENOISE_AUTOREFRESH = DEBUG

# Mail

# Whoever waits for a mail server holds a message's lease, which is longer than all that it may take to answer.
EMAIL_TIMEOUT = 15
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_FROM = env.str("FLINT_EMAIL_FROM", default=f"no-reply@{urlsplit(BASE_URL).hostname}")
if EMAIL_FROM.count("@") != 1 or not EMAIL_FROM.isprintable() or any(sign in EMAIL_FROM for sign in " ,;<>"):
    raise ImproperlyConfigured("FLINT_EMAIL_FROM is not an address such as receipts@example.com.")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = EMAIL_FROM
MESSAGES_KEPT_DAYS = env.int("FLINT_MESSAGES_KEPT_DAYS", default=90)

# Language, time, logs

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING_CONFIG = None
logs.configure(readable=DEBUG)
