"""Sending refunds to the processor, and asking about those it has not answered."""

from datetime import datetime, timedelta

import structlog
from django.db.models import Q
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from payments.processors import processor_of
from payments.processors.base import NoAnswer, ProcessorError, RefundRequest, Refused, Unreachable
from refunds.models import UNSETTLED, RefundLeg, RefundOrigin
from refunds.services.disputes.contesting import is_taken
from refunds.services.recording import FIRST_CHECK_AFTER, record_refund, record_refused

log = structlog.get_logger(__name__)

RESEND_AFTER = timedelta(minutes=10)
"""How long a refund that the processor knows nothing of may still be on its way to it."""

BATCH = 200


def send_refund(refund_leg_id: str, *, actor: Actor, at: datetime | None = None) -> None:
    """
    Send a leg that waits, once. A leg that was sent before is asked about instead; only one that the processor shows no
    trace of is sent again, under the same key. One whose money a dispute has claimed in the meantime is given up.
    """
    at = at or timezone.now()
    leg = _claim(refund_leg_id, actor, at)
    if leg is None:
        ask_about_refund(refund_leg_id, actor=actor, at=at)
    elif is_taken(leg):
        record_refused(leg.id, reason="payment_disputed", actor=actor, at=at)
    else:
        _send(leg, actor=actor, at=at)


def ask_about_refund(refund_leg_id: str, *, actor: Actor, at: datetime | None = None) -> None:
    """Ask what became of a leg that was sent, and record it."""
    at = at or timezone.now()
    leg = RefundLeg.objects.of(actor).select_related("payment_intent", "operation", "refund").find(id=refund_leg_id)
    if leg.sent_at is None:
        return
    processor = processor_of(leg.payment_intent.processor)
    try:
        if leg.reference:
            state = processor.retrieve_refund(environment_id=leg.environment_id, reference=leg.reference)
        else:
            state = processor.find_refund(environment_id=leg.environment_id, operation_id=leg.id, since=leg.sent_at)
    except ProcessorError:
        return
    if state is not None:
        record_refund(state, actor=actor, at=at)
    elif leg.is_unsettled and leg.refund.origin != RefundOrigin.PROCESSOR and at - leg.sent_at >= RESEND_AFTER:
        _send(leg, actor=actor, at=at)


def sweep(*, at: datetime | None = None) -> int:
    """
    Send or ask about every leg that is due. Return how many.

    One bad row never stops the rest: it is logged and comes up again at its next turn.
    """
    at = at or timezone.now()
    due = list(
        RefundLeg.objects.filter(next_check_at__lte=at)
        .order_by("next_check_at")
        .values_list("id", "environment_id")[:BATCH]
    )
    # Whatever becomes of the asking, the next turn is for others first.
    RefundLeg.objects.filter(id__in=[leg_id for leg_id, _ in due]).update(next_check_at=at + FIRST_CHECK_AFTER)
    for leg_id, environment_id in due:
        try:
            send_refund(leg_id, actor=actors.system(environment_id, "Sweep"), at=at)
        except Exception:
            log.exception("sweep.failed", refund_leg_id=leg_id)
    return len(due)


def _claim(refund_leg_id: str, actor: Actor, at: datetime) -> RefundLeg | None:
    """Mark a leg as sent, before it is; None if it was already. One statement, so only one caller ever sends it."""
    waiting = RefundLeg.objects.of(actor).filter(
        ~Q(refund__origin=RefundOrigin.PROCESSOR), id=refund_leg_id, sent_at__isnull=True, status__in=UNSETTLED
    )
    if not waiting.update(sent_at=at, next_check_at=at + FIRST_CHECK_AFTER, updated_at=timezone.now()):
        return None
    return RefundLeg.objects.select_related("payment_intent", "operation", "refund").get(id=refund_leg_id)


def _send(leg: RefundLeg, *, actor: Actor, at: datetime) -> None:
    request = RefundRequest(
        operation_id=leg.id,
        refund_id=leg.refund_id,
        environment_id=leg.environment_id,
        payment_reference=leg.operation.reference,
        money=leg.money,
        reason=leg.refund.reason,
    )
    try:
        state = processor_of(leg.payment_intent.processor).refund(request)
    except Refused as refusal:
        record_refused(leg.id, reason=refusal.code, actor=actor, at=at)
    except Unreachable:
        # Nothing was done, so the next turn may send it afresh.
        RefundLeg.objects.filter(id=leg.id, answered_at__isnull=True).update(sent_at=None)
    except NoAnswer:
        return
    else:
        record_refund(state, actor=actor, at=at)
