"""Asking processors about disputes, so that a lost notice loses nothing."""

from collections.abc import Callable
from datetime import datetime

import structlog
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from payments.models import PaymentOperation
from payments.processors import processor_of
from payments.processors.base import DisputeState, Processor, ProcessorError
from payments.services import record_payment
from refunds.models import Dispute
from refunds.services.disputes.recording import FIRST_CHECK_AFTER, record_dispute

log = structlog.get_logger(__name__)

BATCH = 200


def take_in(
    processor: Processor,
    state: DisputeState,
    *,
    actor: Actor,
    at: datetime | None = None,
    asked_at: datetime | None = None,
    also: Callable[[], None] | None = None,
) -> Dispute:
    """
    Record a dispute; a payment whose money we do not know of yet is recorded first, or it could not be taken back.

    :raises DoesNotFit: as :func:`record_dispute`.
    """
    paid = PaymentOperation.objects.of(actor).filter(kind="confirm", reference=state.payment_reference)
    if not paid.filter(captured_amount__gt=0).exists():
        payment = processor.retrieve_payment(environment_id=actor.environment_id, reference=state.payment_reference)
        if payment is not None:
            record_payment(payment, actor=actor)
    return record_dispute(state, actor=actor, at=at, asked_at=asked_at, also=also)


def ask_about_dispute(dispute_id: str, *, actor: Actor, at: datetime | None = None) -> None:
    """Ask how a dispute stands, and record it."""
    at = at or timezone.now()
    dispute = Dispute.objects.of(actor).select_related("payment_intent").find(id=dispute_id)
    processor = processor_of(dispute.payment_intent.processor)
    asked_at = timezone.now()
    try:
        state = processor.retrieve_dispute(environment_id=dispute.environment_id, reference=dispute.reference)
    except ProcessorError:
        return
    if state is not None:
        take_in(processor, state, actor=actor, at=at, asked_at=asked_at)


def sweep(*, at: datetime | None = None) -> int:
    """
    Ask about every dispute that is due. Return how many.

    One bad row never stops the rest: it is logged and comes up again at its next turn.
    """
    at = at or timezone.now()
    due = Dispute.objects.filter(next_check_at__lte=at).order_by("next_check_at")
    rows = list(due.values_list("id", "environment_id")[:BATCH])
    # Whatever becomes of the asking, the next turn is for others first.
    Dispute.objects.filter(id__in=[dispute_id for dispute_id, _ in rows]).update(next_check_at=at + FIRST_CHECK_AFTER)
    for dispute_id, environment_id in rows:
        try:
            ask_about_dispute(dispute_id, actor=actors.system(environment_id, "Sweep"), at=at)
        except Exception:
            log.exception("sweep.failed", dispute_id=dispute_id)
    return len(rows)
