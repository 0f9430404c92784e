"""Letting go of a payment whose buyer never came back: its session is over, and so is the time to go on with it."""

from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from flint import actors
from flint.errors import FlintError
from payments.models import CheckoutSession
from payments.models.attempts import AttemptStatus
from payments.services.closing import cancel_attempt

log = structlog.get_logger(__name__)

BATCH = 100
TRIED_FOR = timedelta(days=1)
"""After that long, what the processor would not cancel is left to its own end, which the sweep learns of."""


def cancel_abandoned(*, at: datetime | None = None) -> int:
    """
    Cancel the attempts that still wait for buyers who may no longer act, so that their orders can be paid another way.

    The processor is asked to; one that says the money came in after all is believed. Return how many were looked at.
    """
    at = at or timezone.now()
    waiting = CheckoutSession.objects.filter(
        recovery_expires_at__range=(at - TRIED_FOR, at), recovery_attempt__status=AttemptStatus.REQUIRES_ACTION
    )
    found = list(waiting.select_related("recovery_attempt").order_by("recovery_expires_at")[:BATCH])
    for session in found:
        actor = actors.system(session.environment_id, "Recovery")
        data = {"cancellation_reason": "abandoned"}
        try:
            cancel_attempt(order_id=session.order_id, attempt_id=session.recovery_attempt_id, data=data, actor=actor)
        except FlintError as refusal:
            log.info("session.abandoned_attempt_stays", checkout_session_id=session.id, code=refusal.code)
        except Exception:
            log.exception("session.abandoning_failed", checkout_session_id=session.id)
    return len(found)
