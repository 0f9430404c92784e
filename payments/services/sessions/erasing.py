"""Forgetting how the buyers of sessions that ended long ago were reached, and what let them in."""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from flint import actors
from payments.models import CheckoutSession
from payments.models.verifications import VerificationStatus
from payments.services.sessions.ending import lock_session

log = structlog.get_logger(__name__)

KEPT_FOR = timedelta(days=30)
BATCH = 200


def erase_contacts(*, at: datetime | None = None) -> int:
    """Erase the contact on every session that ended 30 days ago, a batch at a time; return how many were looked at."""
    at = at or timezone.now()
    due = CheckoutSession.objects.filter(contact_erased_at__isnull=True, ended_at__lte=at - KEPT_FOR)
    sessions = list(due.order_by("ended_at").values_list("id", "environment_id")[:BATCH])
    for session_id, environment_id in sessions:
        try:
            _erase(session_id, environment_id, at)
        except Exception:
            log.exception("session.erasure_failed", checkout_session_id=session_id)
    return len(sessions)


def _erase(session_id: str, environment_id: str, at: datetime) -> None:
    with transaction.atomic():
        _, session = lock_session(session_id, actors.system(environment_id, "Erasure"))
        session.contact_email = session.contact_phone = ""
        session.contact_updated_at = None
        session.settings.get("customer_collection", {}).pop("prefilled_customer_info", None)
        session.contact_erased_at = at
        session.credentials.all().delete()
        for verification in session.verifications.filter(status=VerificationStatus.PENDING):
            verification.cancel(at=at)
            verification.save()
        session.verifications.update(email="")
        session.save(
            update_fields=["contact_email", "contact_phone", "contact_updated_at", "settings", "contact_erased_at"]
        )
