"""
Traces for OpenTelemetry, when FLINT_OTEL_ENDPOINT names a collector that takes OTLP over HTTP; otherwise nothing.

The packages are not among the requirements: whoever wants traces installs them beside Flint. A span carries ids and
outcomes, never a body, an error's text or a person's data.
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PACKAGES = {
    "opentelemetry.sdk.trace": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
}


def check() -> None:
    """:raises ImproperlyConfigured: if traces are wanted, but what it takes is not installed."""
    if not settings.OTEL_ENDPOINT:
        return
    missing = [package for module, package in PACKAGES.items() if not _is_installed(module)]
    if missing:
        raise ImproperlyConfigured(
            f"FLINT_OTEL_ENDPOINT is set, but {' and '.join(missing)} cannot be imported. "
            f"Run `pip install {' '.join(missing)}`, or unset it."
        )


@contextmanager
def span(name: str, *, kind: str = "internal", parent: Mapping[str, str] | None = None, **known: Any) -> Iterator[None]:
    """
    Make the block a span. What is logged in it carries its ``trace_id``.

    :param parent: headers that may name the span that caused this one, as :func:`carried` makes them.
    :param known: ids and words to find it by; empty ones are left out.
    """
    if not settings.OTEL_ENDPOINT:
        yield
        return
    from opentelemetry import propagate
    from opentelemetry.trace import SpanKind, Status, StatusCode

    context = propagate.extract(dict(parent)) if parent else None
    with _tracer(os.getpid()).start_as_current_span(
        name,
        context=context,
        kind=SpanKind[kind.upper()],
        attributes={f"flint.{name}": value for name, value in known.items() if value},
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        trace_id = format(current.get_span_context().trace_id, "032x")
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                yield
            except Exception as error:
                # An error's text may quote what somebody sent, so its class has to do.
                current.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise


def note(**found: Any) -> None:
    """Add to the open span what only its end could tell."""
    if settings.OTEL_ENDPOINT:
        from opentelemetry import trace

        trace.get_current_span().set_attributes({f"flint.{name}": value for name, value in found.items() if value})


def carried() -> dict[str, str]:
    """Return the headers that name the open span to whoever goes on with the work."""
    headers: dict[str, str] = {}
    if settings.OTEL_ENDPOINT:
        from opentelemetry import propagate

        propagate.inject(headers)
    return headers


def flush() -> None:
    """Send what this process has not sent yet."""
    if settings.OTEL_ENDPOINT:
        _provider(os.getpid()).force_flush()


def _tracer(process_id: int):
    return _provider(process_id).get_tracer("flint")


@cache
def _provider(process_id: int):
    # One per process: the thread that sends does not live on in a fork.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": settings.OTEL_SERVICE}))
    exporter = OTLPSpanExporter(endpoint=f"{settings.OTEL_ENDPOINT}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
