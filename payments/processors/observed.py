"""A processor that is watched: each call is timed, counted, traced and logged with the ids it is about."""

import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any

import structlog

from flint import tracing
from flint.metrics import processor_calls
from flint.observing import ids_among
from payments.processors import base
from payments.processors.base import Processor

log = structlog.get_logger(__name__)

WATCHED = frozenset(
    {"confirm", "capture", "cancel", "refund", "begin_setup", "detach", "balances"}
    | {f"retrieve_{thing}" for thing in ("payment", "refund", "setup", "dispute", "payout")}
    | {f"find_{thing}" for thing in ("payment", "refund", "setup")}
)
"""Calls that are one question with one answer."""

OUTCOMES = {
    base.Refused: "refused",
    base.Unreachable: "unreachable",
    base.Misconfigured: "misconfigured",
    base.NoAnswer: "no_answer",
    base.DoesNotFit: "does_not_fit",
    base.NotOurs: "does_not_fit",
}


class Observed:
    """Stands before an adapter and is it in every other respect."""

    def __init__(self, adapter: Processor):
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._adapter, name)
        return _watching(self._adapter.name, name, found) if name in WATCHED else found


def _watching(processor: str, call: str, made: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(made)
    def watched(*args: Any, **kwargs: Any) -> Any:
        known = _ids(args, kwargs)
        begun, outcome, told = time.perf_counter(), "error", {}
        with (
            structlog.contextvars.bound_contextvars(processor=processor, **known),
            tracing.span(f"{processor} {call}", kind="client", **known),
        ):
            try:
                answer = made(*args, **kwargs)
                outcome, told = "answered", _of_answer(answer)
                return answer
            except base.ProcessorError as error:
                outcome = next((OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES), "error")
                raise
            finally:
                seconds = time.perf_counter() - begun
                processor_calls.labels(processor, call, outcome).observe(seconds)
                tracing.note(outcome=outcome, **told)
                log.info("processor.call", call=call, outcome=outcome, ms=round(seconds * 1000, 1), **told)

    return watched


def _ids(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
    """Return the ids that a call is about, ours and the processor's."""
    named = dict(kwargs)
    for each in args:
        if is_dataclass(each):
            named |= {field.name: getattr(each, field.name) for field in fields(each)}
    theirs = {name: named.get(name) for name in ("reference", "payment_reference") if named.get(name)}
    return {**ids_among(named), **theirs}


def _of_answer(answer: Any) -> dict[str, str]:
    told = {"reference": getattr(answer, "reference", ""), "status": getattr(answer, "status", "")}
    return {name: value for name, value in told.items() if isinstance(value, str) and value}
