"""The sweep: whatever is not final is asked about until it is, so no lost answer, notice or task loses anything."""

from datetime import datetime, timedelta

import structlog
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from flint import actors
from payments.models import PaymentAttempt, PaymentOperation
from payments.services.asking import ask_about_attempt, ask_about_operation
from payments.services.attempts import FIRST_CHECK_AFTER
from payments.services.closing import release_stray_hold
from payments.services.methods.sweeping import sweep_methods

log = structlog.get_logger(__name__)

BATCH = 200
STRAY_PAUSE = timedelta(minutes=5)
"""How long a stray hold is left alone after a cancel that did not get through: each try is a row."""


def sweep(*, at: datetime | None = None) -> int:
    """
    Ask about every open attempt that is due, every call left unanswered and every stray hold, and look after the
    payment methods. Return how many.

    One bad row never stops the rest: it is logged and comes up again at its next turn.
    """
    at = at or timezone.now()
    due = PaymentAttempt.objects.filter(next_check_at__lte=at).order_by("next_check_at")[:BATCH]
    attempts = [(attempt.id, attempt.environment_id) for attempt in due]
    # Whatever becomes of the asking, the next turn is for others first.
    PaymentAttempt.objects.filter(id__in=[attempt_id for attempt_id, _ in attempts]).update(
        next_check_at=at + FIRST_CHECK_AFTER
    )
    for attempt_id, environment_id in attempts:
        _each(ask_about_attempt, attempt_id, environment_id, at)
    unanswered = _whose_turn_it_is(
        PaymentOperation.objects.filter(answered_at__isnull=True, created_at__lte=at - FIRST_CHECK_AFTER)
        .exclude(kind="confirm")
        .select_related("payment_intent"),
        at,
    )
    for operation in unanswered:
        _each(ask_about_operation, operation, operation.environment_id, at)
    strays = _whose_turn_it_is(stray_holds(at), at)
    for operation in strays:
        try:
            release_stray_hold(operation.id, actor=actors.system(operation.environment_id, "Sweep"))
        except Exception:
            log.exception("sweep.failed", operation_id=operation.id)
    return len(attempts) + len(unanswered) + len(strays) + sweep_methods(at=at)


def stray_holds(at: datetime) -> QuerySet[PaymentOperation]:
    """Return the tries whose hold stands at the processor although nobody waits for it any more."""
    just_tried = PaymentOperation.objects.filter(
        payment_intent=OuterRef("payment_intent"), kind="cancel", result="refused", created_at__gt=at - STRAY_PAUSE
    )
    return (
        PaymentOperation.objects.filter(kind="confirm", result="requires_capture", captured_amount=0)
        .exclude(payment_intent__status="requires_capture")
        .exclude(payment_intent__created_at__lt=at - timedelta(days=30))
        .exclude(Exists(just_tried))
        .exclude(attempt__status__in=["processing", "requires_action", "requires_capture"])
        .annotate(leg_status=F("payment_intent__status"))
    )


def _whose_turn_it_is(operations: QuerySet[PaymentOperation], at: datetime) -> list[PaymentOperation]:
    """Return those that were looked at longest ago; whatever becomes of them, the next turn is for others first."""
    found = list(operations.order_by("updated_at", "id")[:BATCH])
    PaymentOperation.objects.filter(id__in=[operation.id for operation in found]).update(updated_at=at)
    return found


def _each(ask, subject, environment_id: str, at: datetime) -> None:
    try:
        ask(subject, actor=actors.system(environment_id, "Sweep"), at=at)
    except Exception:
        log.exception("sweep.failed", subject=str(subject))
