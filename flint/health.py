"""Health for load balancers and orchestrators: is this process alive, and can it do its work."""

import functools

import structlog
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from flint import celery

log = structlog.get_logger(__name__)


@require_safe
@never_cache
def alive(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process can answer at all; touch nothing."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when every part this process needs is there, else 503; the body names each part."""
    checks = {"database": database_answers, "broker": celery.broker_answers, "migrations": migrations_are_applied}
    parts = {name: _outcome(name, check) for name, check in checks.items()}
    is_ready = set(parts.values()) == {"ok"}
    return JsonResponse({"status": "ok" if is_ready else "unavailable", **parts}, status=200 if is_ready else 503)


def database_answers() -> bool:
    """Tell whether the database takes a statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def migrations_are_applied() -> bool:
    """Tell whether the database has every migration that this code was shipped with."""
    return _shipped_migrations() <= set(MigrationRecorder(connection).applied_migrations())


@functools.cache
def _shipped_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).disk_migrations)


def _outcome(name: str, check) -> str:
    try:
        is_ok = check()
    except Exception as error:  # noqa: BLE001 - whatever stands in the way, the part is not ready.
        log.warning("not_ready", part=name, error=type(error).__name__)
        return "unavailable"
    return "ok" if is_ok else "unavailable"
