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
from payments.processors.base import Processor
from payments.services.recording import DoesNotFit, record_payment

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
"""How long one worker has for a notice before another may take it up."""

SLOWEST_RETRY = timedelta(hours=1)
BATCH = 200


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
    with transaction.atomic():
        notice, is_new = ProcessorNotice.objects.get_or_create(
            environment_id=environment_id,
            processor=processor_name,
            notice_id=told.id,
            defaults={
                "type": told.type,
                "kind": told.kind,
                "reference": told.reference,
                "told_at": told.created_at,
                "next_at": at,
            },
        )
        if is_new or notice.next_at:
            after_commit(tasks.handle_notice, notice_id=notice.id)
    return notice


def handle(notice_id: str, *, at: datetime | None = None) -> None:
    """
    Handle a notice that waits, unless somebody else is at it. The effect and the mark commit together.

    A failure keeps its error and is tried again later, ever more slowly; a notice that fits nothing is kept apart for
    people to look at.
    """
    at = at or timezone.now()
    notice = _claim(notice_id, at)
    if notice is None:
        return
    handler = _handlers.get(notice.kind)
    if handler is None:
        _end(notice, "ignored", at)
        return
    actor = actors.processor(notice.environment_id, notice.processor)
    try:
        handler(
            processor_of(notice.processor),
            notice.reference,
            actor=actor,
            also=lambda: _end(notice, "handled", at),
        )
    except DoesNotFit as mismatch:
        _end(notice, "unmatched", at, error=str(mismatch))
        log.warning("notice.unmatched", notice_id=notice.id, reference=notice.reference)
    except Exception as error:
        _retry(notice, at, error=f"{type(error).__name__}: {error}"[:2000])
        log.exception("notice.failed", notice_id=notice.id, reference=notice.reference)


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
    record_payment(state, actor=actor, also=also)


def _claim(notice_id: str, at: datetime) -> ProcessorNotice | None:
    """Take a notice for as long as the lease lasts; None if it is done or somebody else has it."""
    with transaction.atomic():
        notice = (
            ProcessorNotice.objects.select_for_update(skip_locked=True)
            .filter(id=notice_id, status__in=["received", "failed"], next_at__lte=at)
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


def _retry(notice: ProcessorNotice, at: datetime, *, error: str) -> None:
    wait = min(timedelta(seconds=2) * 2 ** min(notice.attempts, 12), SLOWEST_RETRY)
    ProcessorNotice.objects.filter(id=notice.id).exclude(status="handled").update(
        status="failed", next_at=at + wait, last_error=error, updated_at=timezone.now()
    )
