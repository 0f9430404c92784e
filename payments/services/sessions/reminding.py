"""
Writing, once, to a buyer who left an address at a checkout and did not pay. Only where the merchant wants it.

Whoever bought something else meanwhile, or was written to about another checkout in the last day, is left alone.
"""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from flint import actors
from flint.events import services as events
from flint.merchants.models import Settings
from flint.merchants.settings import section_of
from flint.messages import outbox
from flint.messages.models import Message, masked
from orders.models import Order
from payments.models import CheckoutSession
from payments.models.sessions import PAID
from payments.services.links.recovery import create_pay_link
from payments.services.sessions.ending import save_counts

log = structlog.get_logger(__name__)

KIND = "abandoned_checkout"
BATCH = 100
TOO_LATE = timedelta(days=2)
"""After that much more than the merchant's own delay nobody is written to any more."""

AT_MOST_EVERY = timedelta(days=1)
"""How often one address is written to, however many checkouts it left."""


def reminds(session: CheckoutSession) -> bool:
    """Whether a buyer who leaves this checkout is written to."""
    if session.invoice_id:
        return False
    return section_of(session.environment_id, "checkout")["recovery_email"]["enabled"]


def remind_abandoned(*, at: datetime | None = None) -> int:
    """Queue a message to every buyer who left long enough ago, a batch for each merchant; return how many."""
    at = at or timezone.now()
    wanted = Settings.objects.filter(sections__checkout__recovery_email__enabled=True).order_by("environment_id")
    told = 0
    for environment_id in wanted.values_list("environment_id", flat=True):
        chosen = section_of(environment_id, "checkout")["recovery_email"]
        left_before = at - timedelta(seconds=chosen["delay_seconds"])
        for session_id in list(_left(environment_id, left_before).values_list("id", flat=True)[:BATCH]):
            try:
                told += _remind(session_id, environment_id, left_before, at)
            except Exception:
                log.exception("session.reminding_failed", checkout_session_id=session_id)
    return told


def _left(environment_id: str, before: datetime):
    """Return the sessions whose buyers said how to be reached, themselves, and were not written to about the order."""
    told = Message.objects.filter(kind=KIND, source_id=OuterRef("order_id"))
    sessions = CheckoutSession.objects.abandoned().exclude(contact_email="")
    return sessions.filter(
        ~Exists(told),
        environment_id=environment_id,
        invoice__isnull=True,
        contact_updated_at__gt=before - TOO_LATE,
        contact_updated_at__lte=before,
    ).order_by("contact_updated_at", "id")


def _remind(session_id: str, environment_id: str, left_before: datetime, at: datetime) -> bool:
    actor = actors.system(environment_id, "Reminder")
    order_id = CheckoutSession.objects.values_list("order_id", flat=True).get(id=session_id)
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        session = _left(environment_id, left_before).filter(id=session_id).first()
        if session is None or not order.outstanding_amount or order.is_collecting or order.is_collection_blocked:
            return False
        if _is_busy(session, at):
            return False
        create_pay_link(order_id=order.id, actor=actor)
        order = Order.objects.of(actor).lock(id=order_id)
        address = session.contact_email
        message = outbox.queue(order, KIND, source_id=order.id, recipient=address, language=session.locale, at=at)
        if message is None:
            return False
        events.record(order, "order.message_requested", subject=order, actor=actor, kind=KIND, to=masked(address))
        save_counts(order)
    return True


def _is_busy(session: CheckoutSession, at: datetime) -> bool:
    """Whether the buyer is at it still, has bought meanwhile, or was written to lately."""
    of_buyer = CheckoutSession.objects.filter(
        environment_id=session.environment_id,
        contact_email__iexact=session.contact_email,
        created_at__gt=session.created_at - TOO_LATE,
    )
    digest = outbox.digest_of(session.environment_id, session.contact_email)
    lately = Message.objects.filter(
        environment_id=session.environment_id,
        kind=KIND,
        recipient_digest=digest,
        created_at__gt=at - AT_MOST_EVERY,
    )
    later = of_buyer.filter(contact_updated_at__gt=session.contact_updated_at).exclude(status__in=PAID)
    bought = of_buyer.filter(status__in=PAID, ended_at__gt=session.contact_updated_at)
    return later.exists() or bought.exists() or lately.exists()
