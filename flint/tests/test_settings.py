"""Settings: what refuses to start, and with which words. Each case is a fresh interpreter."""

import os
import subprocess
import sys

import pytest
from django.conf import settings as ours

from flint.home import Home

GOOD_KEY = "tH7_x2Lk9-QpR4sVw8yZb1NcMdFgJ0aE5uI6oT3r"
PRODUCTION = {
    "DATABASE_URL": "postgresql://flint@db/flint",
    "FLINT_SECRET_KEY": GOOD_KEY,
    "FLINT_HOSTS": "pay.example.com",
    "FLINT_BASE_URL": "https://pay.example.com",
}


def evaluate(expression: str, **environment: str) -> tuple[str, str]:
    """Return what the settings say in an environment, and the last line of what went wrong."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    code = f"from flint import settings; print({expression})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=kept | environment, cwd=ours.BASE_DIR
    )
    return done.stdout.strip(), (done.stderr.strip().splitlines() or [""])[-1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"FLINT_SECRET_KEY": ""}, "Set FLINT_SECRET_KEY"),
        ({"FLINT_SECRET_KEY": "changeme"}, "can be guessed"),
        ({"FLINT_SECRET_KEY": "a" * 60}, "can be guessed"),
        ({"FLINT_SECRET_KEY": "not-a-secret-for-development-on-this-machine-only"}, "can be guessed"),
        ({"FLINT_HOSTS": ""}, "Set FLINT_HOSTS"),
        ({"FLINT_HOSTS": "*"}, "Set FLINT_HOSTS"),
        ({"FLINT_DEBUG": "1"}, "FLINT_DEBUG shows internals"),
        ({"FLINT_BASE_URL": "pay.example.com"}, "FLINT_BASE_URL"),
    ],
)
def test_an_unsafe_production_refuses_to_start(changes, words):
    _, error = evaluate("1", **{**PRODUCTION, **changes})
    assert error.startswith("django.core.exceptions.ImproperlyConfigured")
    assert words in error
    assert GOOD_KEY not in error


def test_a_production_behind_https_keeps_its_cookies_to_https():
    names = ("DEBUG", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")
    said, error = evaluate(", ".join(f"settings.{name}" for name in names), **PRODUCTION)
    assert (said, error) == ("False True True 2592000", "")


def test_without_anything_the_database_is_the_embedded_one_and_nothing_is_written(tmp_path):
    said, error = evaluate(
        "settings.DATABASES['default']['HOST'], settings.BROKER_URL", FLINT_DATA=str(tmp_path / "home"), FLINT_DEBUG="1"
    )
    assert error == ""
    assert said == f"{Home(tmp_path / 'home').database.socket_folder} postgresql"
    assert not (tmp_path / "home").exists()


def test_the_secret_key_that_up_keeps_serves_the_other_commands(tmp_path):
    home = Home(tmp_path)
    home.create()
    said, _ = evaluate("settings.SECRET_KEY", FLINT_DATA=str(tmp_path))
    assert said == home.secret_key
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600
    home.create()
    assert home.secret_key == said


def test_a_kept_secret_key_does_not_serve_an_install_of_several_machines(tmp_path):
    Home(tmp_path).create()
    _, error = evaluate("1", **{**PRODUCTION, "FLINT_SECRET_KEY": "", "FLINT_DATA": str(tmp_path)})
    assert "Set FLINT_SECRET_KEY" in error


def test_redis_and_a_replica_come_by_their_addresses():
    said, _ = evaluate(
        "settings.BROKER_URL, settings.CACHES['default']['BACKEND'], "
        "[settings.DATABASES[name]['HOST'] for name in ('default', 'reports')]",
        **PRODUCTION,
        REDIS_URL="redis://cache/0",
        DATABASE_REPLICA_URL="postgresql://flint@replica/flint",
    )
    assert said == "redis://cache/0 django.core.cache.backends.redis.RedisCache ['db', 'replica']"
