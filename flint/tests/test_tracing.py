"""Traces are optional: off by default, and a clear word at the start when what they take is not installed."""

import sys

import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured

from flint import tracing
from flint.apps import FlintConfig


def test_without_a_collector_nothing_is_imported_carried_or_bound(settings):
    settings.OTEL_ENDPOINT = ""
    loaded = {name for name in sys.modules if name.startswith("opentelemetry")}
    tracing.check()
    with tracing.span("a call", order_id="ord_1"):
        tracing.note(status=200)
        assert tracing.carried() == {}
        assert "trace_id" not in structlog.contextvars.get_contextvars()
    tracing.flush()
    assert {name for name in sys.modules if name.startswith("opentelemetry")} == loaded


def test_a_collector_without_the_packages_refuses_to_start_and_says_what_to_install(settings, monkeypatch):
    settings.OTEL_ENDPOINT = "http://collector.example:4318"
    monkeypatch.setattr(tracing, "PACKAGES", {"nobody_has_this.sdk": "opentelemetry-sdk", "json": "never-asked-for"})

    with pytest.raises(ImproperlyConfigured) as refusal:
        FlintConfig.create("flint").ready()

    assert "pip install opentelemetry-sdk`" in str(refusal.value) and "never-asked-for" not in str(refusal.value)


def test_a_span_lets_errors_through(settings):
    with pytest.raises(KeyError), tracing.span("a call"):
        raise KeyError("through")
