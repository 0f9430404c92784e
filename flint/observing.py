"""
Watching requests and tasks from outside: ids bound for every line that is logged meanwhile, a measurement, a span.

What is bound are ids only. Paths, queries, bodies and whatever people wrote never reach a log from here.
"""

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import structlog
from celery.signals import task_postrun, task_prerun
from django.http import HttpRequest, HttpResponse

from flint import tracing

log = structlog.get_logger(__name__)

ID = re.compile(r"[a-z]{2,5}_[0-9A-Z]{26}")
QUIET = ("/healthz", "/readyz", "/metrics", "/static/")
"""Asked all the time by machines: measured, but not written down."""
REQUEST_ID = "flint_request_id"
METHODS = {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"}


class ObservingMiddleware:
    """Wraps every request. Should be the outermost of all."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # A thread serves one request after the other; nothing of the last one may stick to this one.
        structlog.contextvars.clear_contextvars()
        begun = time.perf_counter()
        method = request.method if request.method in METHODS else "other"
        parent = {"traceparent": request.headers.get("traceparent", "")}
        try:
            with tracing.span(f"HTTP {method}", kind="server", parent=parent):
                response = self.get_response(request)
                route = route_of(request)
                tracing.note(route=route, status=response.status_code, request_id=getattr(request, "request_id", ""))
            self._tell(request, method, route, response.status_code, time.perf_counter() - begun)
        finally:
            structlog.contextvars.clear_contextvars()
        return response

    def process_view(self, request: HttpRequest, view: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
        """Bind what the address names."""
        structlog.contextvars.bind_contextvars(**ids_among(kwargs))

    @staticmethod
    def _tell(request: HttpRequest, method: str, route: str, status: int, seconds: float) -> None:
        from flint import metrics

        metrics.http_seconds.labels(method, route, str(status)).observe(seconds)
        if not request.path_info.startswith(QUIET):
            known = {"request_id": getattr(request, "request_id", None)}
            if environment := getattr(request, "environment", None):
                known["environment_id"] = environment.id
            known = {name: value for name, value in known.items() if value}
            say = log.info if status < 500 else log.error
            say("http.answered", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **known)


def route_of(request: HttpRequest) -> str:
    """Return the pattern that an address matched, so that ids do not make a series each."""
    match = request.resolver_match
    return f"/{match.route}" if match else "(none)"


def ids_among(named: dict[str, Any]) -> dict[str, str]:
    """Keep to what has the form of an id of ours: what else stands in an address may be anything."""
    return {
        name: value
        for name, value in named.items()
        if name.endswith("_id") and isinstance(value, str) and ID.fullmatch(value)
    }


def headers() -> dict[str, str]:
    """Return what a task is told of the request or task that started it."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return {**tracing.carried(), **({REQUEST_ID: request_id} if request_id else {})}


_running: dict[str, ExitStack] = {}


@task_prerun.connect
def begin_task(task_id: str, task, kwargs: dict[str, Any] | None = None, **_: Any) -> None:
    """Bind what a task is about, for every line that is logged while it runs."""
    structlog.contextvars.clear_contextvars()
    given = {**(task.request.headers or {}), **{name: getattr(task.request, name, None) for name in CARRIED}}
    known = ids_among(kwargs or {})
    if given.get(REQUEST_ID):
        known["request_id"] = given[REQUEST_ID]
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id, **known)
    parent = {"traceparent": given.get("traceparent") or ""}
    stack = _running[task_id] = ExitStack()
    stack.enter_context(tracing.span(task.name, kind="consumer", parent=parent, task_id=task_id, **known))


@task_postrun.connect
def end_task(task_id: str, **_: Any) -> None:
    """Let go of it all."""
    if stack := _running.pop(task_id, None):
        stack.close()
    structlog.contextvars.clear_contextvars()


CARRIED = (REQUEST_ID, "traceparent")
