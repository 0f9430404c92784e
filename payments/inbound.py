"""
What processors tell us: verified on the raw bytes, stored once, answered at once, handled by a task.

A notice is a hint that something changed. Handling it fetches the object as it is now and records that; the payload is
never believed. Each room says how to fetch and record its kind of object with :func:`handles`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from django.db import transaction
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.celery import after_commit
from payments import tasks
from payments.models import ProcessorNotice
from payments.processors import processor_of
from payments.processors.base import NotOurs, Processor
from payments.services.methods.recording import record_setup
from payments.services.payouts import record_payout
from payments.services.recording import DoesNotFit, record_payment

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
"""How long one worker has for a notice before another may take it up."""

SLOWEST_RETRY = timedelta(hours=1)

GIVES_UP_AFTER = timedelta(days=7)
"""How long a notice that keeps failing is tried, by then once an hour. Afterwards it waits for people alone."""

PATIENCE = timedelta(minutes=2)
"""How long a notice that fits nothing may be about something that another transaction is just writing down."""

BATCH = 200
WAITING = ("received", "failed", "unmatched")


class Handler(Protocol):
    """Bring the object behind a notice to its current state; call ``also`` in the transaction that does so."""

    def __call__(self, processor: Processor, reference: str, *, actor: Actor, also: Callable[[], None]) -> None: ...


_handlers: dict[str, Handler] = {}


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Register the handler of a kind of object: ``payment``, ``refund``."""

    def register(handler: Handler) -> Handler:
        _handlers[kind] = handler
        return handler

    return register


def receive(
    *, processor_name: str, environment_id: str, headers: Mapping[str, str], body: bytes, at: datetime
) -> ProcessorNotice:
    """
    Verify and store a notice, and hint that it waits. A repeat finds the stored one, and hints again if it still does.

    :raises BadSignature: if it is not the processor's own. :raises LookupError: if there is no such processor.
    """
    told = processor_of(processor_name).read_notice(environment_id=environment_id, headers=headers, body=body, at=at)
    notice = ProcessorNotice(
        environment_id=environment_id,
        processor=processor_name,
        notice_id=told.id,
        type=told.type,
        kind=told.kind,
        reference=told.reference,
        told_at=told.created_at,
        next_at=at,
    )
    with transaction.atomic():
        # One statement that cannot clash, however many deliveries come at once; the next one reads whose row it is.
        ProcessorNotice.objects.bulk_create([notice], ignore_conflicts=True)
        stored = ProcessorNotice.objects.get(environment_id=environment_id, processor=processor_name, notice_id=told.id)
        if stored.next_at:
            after_commit(tasks.handle_notice, notice_id=stored.id)
    return stored


def handle(notice_id: str, *, at: datetime | None = None) -> None:
    """
    Handle a notice that waits, unless somebody else is at it. The effect and the mark commit together.

    A failure keeps its error and is tried again, ever more slowly, hourly in the end and for a week. What fits nothing
    is tried again for two minutes, in case it came before our own commit, and is then kept for people to look at.
    """
    at = at or timezone.now()
    notice = _claim(notice_id, at)
    if notice is None:
        return
    with structlog.contextvars.bound_contextvars(notice_id=notice.id, environment_id=notice.environment_id):
        _handle(notice, at)


def _handle(notice: ProcessorNotice, at: datetime) -> None:
    handler = _handlers.get(notice.kind)
    if handler is None:
        _end(notice, "foreign" if notice.kind == "foreign" else "ignored", at)
        return
    actor = actors.processor(notice.environment_id, notice.processor)
    try:
        handler(
            processor_of(notice.processor),
            notice.reference,
            actor=actor,
            also=lambda: _end(notice, "handled", at),
        )
    except NotOurs as mismatch:
        _end(notice, "foreign", at, error=str(mismatch))
    except DoesNotFit as mismatch:
        patient = at - notice.created_at < PATIENCE
        _try_again(notice, "unmatched", at + _wait(notice) if patient else None, error=str(mismatch))
        if not patient:
            log.warning("notice.unmatched", reference=notice.reference, error=str(mismatch))
    except Exception as error:
        gives_up = at - notice.created_at >= GIVES_UP_AFTER
        _try_again(
            notice, "failed", None if gives_up else at + _wait(notice), error=f"{type(error).__name__}: {error}"[:2000]
        )
        log.exception("notice.failed", reference=notice.reference, attempts=notice.attempts, gives_up=gives_up)


def handle_waiting(*, at: datetime | None = None) -> int:
    """Handle every notice whose time has come: those whose task was lost, and those that failed before."""
    at = at or timezone.now()
    waiting = list(
        ProcessorNotice.objects.filter(next_at__lte=at).order_by("next_at").values_list("id", flat=True)[:BATCH]
    )
    for notice_id in waiting:
        handle(notice_id, at=at)
    return len(waiting)


@handles("payment")
def _handle_payment(processor: Processor, reference: str, *, actor: Actor, also: Callable[[], None]) -> None:
    state = processor.retrieve_payment(environment_id=actor.environment_id, reference=reference)
    if state is None:
        raise DoesNotFit(f"the processor has no payment {reference}")
    if not (state.operation_id or state.payment_intent_id):
        raise NotOurs(f"{reference} carries no id of ours: it was not asked for here")
    record_payment(state, actor=actor, also=also)


@handles("payout")
def _handle_payout(processor: Processor, reference: str, *, actor: Actor, also: Callable[[], None]) -> None:
    state = processor.retrieve_payout(environment_id=actor.environment_id, reference=reference)
    if state is None:
        raise DoesNotFit(f"the processor has no payout {reference}")
    record_payout(state, processor=processor.name, actor=actor, also=also)


@handles("setup")
def _handle_setup(processor: Processor, reference: str, *, actor: Actor, also: Callable[[], None]) -> None:
    state = processor.retrieve_setup(environment_id=actor.environment_id, reference=reference)
    if state is None:
        raise DoesNotFit(f"the processor has no setup {reference}")
    if not (state.operation_id or state.payment_method_id):
        raise NotOurs(f"{reference} carries no id of ours: it was not asked for here")
    record_setup(state, actor=actor, also=also)


def _claim(notice_id: str, at: datetime) -> ProcessorNotice | None:
    """Take a notice for as long as the lease lasts; None if it is done or somebody else has it."""
    with transaction.atomic():
        notice = (
            ProcessorNotice.objects.select_for_update(skip_locked=True)
            .filter(id=notice_id, status__in=WAITING, next_at__lte=at)
            .first()
        )
        if notice is None:
            return None
        notice.attempts += 1
        notice.next_at = at + LEASE
        notice.save(update_fields=["attempts", "next_at", "updated_at"])
    return notice


def _end(notice: ProcessorNotice, status: str, at: datetime, *, error: str = "") -> None:
    ProcessorNotice.objects.filter(id=notice.id).update(
        status=status, handled_at=at, next_at=None, last_error=error, updated_at=timezone.now()
    )


def _try_again(notice: ProcessorNotice, status: str, next_at: datetime | None, *, error: str) -> None:
    # Somebody may have handled it or set it aside in the meantime; that stands.
    ProcessorNotice.objects.filter(id=notice.id, status__in=WAITING).update(
        status=status, next_at=next_at, last_error=error, updated_at=timezone.now()
    )


def _wait(notice: ProcessorNotice) -> timedelta:
    return min(timedelta(seconds=2) * 2 ** min(notice.attempts, 12), SLOWEST_RETRY)
