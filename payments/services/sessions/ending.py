"""
How a session ends: its order is paid, its time is over, the merchant closes it, changes the order, or opens another.

Everything here happens under the order's lock. A session that ends while its own attempt is under way does not stop
that attempt: the buyer may go on with it for a while, and money that comes in is booked.
"""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.errors import Conflict
from flint.events import services as events
from flint.events.models import Event
from invoices.models import Invoice
from invoices.models.invoices import InvoiceStatus

# Imported for its own registration, so that an invoice has followed its order before its session is looked at here.
from invoices.services import following  # noqa: F401
from orders import collecting, ledger
from orders.models import Order
from payments.models import CheckoutSession, PaymentAttempt
from payments.models.attempts import OPEN, AttemptStatus
from payments.models.intents import CONFIRMABLE
from payments.models.sessions import PAID, RECOVERY_WINDOW, SessionStatus, TerminalReason
from payments.services.sessions.admitting import CheckoutSessionNotOpen, is_over, refuse_former_buyer

log = structlog.get_logger(__name__)

OF_INVOICE = {
    InvoiceStatus.PAID: TerminalReason.INVOICE_PAID_ELSEWHERE,
    InvoiceStatus.CREDITED: TerminalReason.INVOICE_PAID_ELSEWHERE,
    InvoiceStatus.VOID: TerminalReason.INVOICE_VOIDED,
    InvoiceStatus.UNCOLLECTIBLE: TerminalReason.INVOICE_UNCOLLECTIBLE,
}
"""Why a session of an invoice ends, by what became of the invoice; otherwise its balance moved."""

BATCH = 200


class OrderHasOpenCheckout(Conflict):
    code = "ORDER_HAS_OPEN_CHECKOUT"
    message = "A checkout session collects this order. Let its buyer pay, or close it first."


class OrderCustomerCheckoutActive(Conflict):
    code = "ORDER_CUSTOMER_CHECKOUT_ACTIVE"
    message = "A checkout session collects this order for its buyer. Close it before handing the order to another."


class CheckoutPaymentResolving(Conflict):
    code = "CHECKOUT_PAYMENT_RESOLVING"
    message = "A payment of this checkout is under way. Wait for its outcome, then try again."
    retryable = True


def close_session(*, checkout_session_id: str, reason: str = "", actor: Actor) -> CheckoutSession:
    """
    End an open session for good, with a private note.

    :raises CheckoutSessionNotFound: if it is absent or foreign. :raises CheckoutSessionNotOpen: if it has ended.
    :raises CheckoutPaymentResolving: while its payment is under way.
    """
    with transaction.atomic():
        order, session = lock_session(checkout_session_id, actor)
        if not session.is_open:
            raise CheckoutSessionNotOpen(current_status=session.status)
        if order.is_collecting:
            raise CheckoutPaymentResolving(order_payment_attempt_id=order.active_attempt_id)
        session.closed_reason = reason
        end(order, session, SessionStatus.CLOSED, reason=TerminalReason.API, actor=actor)
        save_counts(order)
    return session


def expire_if_due(checkout_session_id: str, *, at: datetime) -> CheckoutSession:
    """End an open session whose time is over, and return it as it is now. One with a hold waits for its capture."""
    environment_id = CheckoutSession.objects.values_list("environment_id", flat=True).get(id=checkout_session_id)
    actor = actors.system(environment_id, "Expiry")
    with transaction.atomic():
        order, session = lock_session(checkout_session_id, actor)
        if session.is_open and end_if_due(order, session, at=at):
            save_counts(order)
    return session


def end_if_due(order: Order, session: CheckoutSession, *, at: datetime) -> bool:
    """End the open session of a locked order if its time is over, and tell whether; the caller saves the order."""
    if not is_over(session, at):
        return False
    actor = actors.system(session.environment_id, "Expiry")
    end(order, session, SessionStatus.EXPIRED, reason=TerminalReason.EXPIRED, actor=actor, at=at)
    return True


def expire_due_sessions(*, at: datetime | None = None) -> int:
    """End every open session whose time is over, a batch at a time; return how many. For the beat schedule."""
    at = at or timezone.now()
    held = PaymentAttempt.objects.filter(checkout_session=OuterRef("pk"), status=AttemptStatus.REQUIRES_CAPTURE)
    due = CheckoutSession.objects.filter(~Exists(held), status=SessionStatus.OPEN, expires_at__lte=at)
    due = due.order_by("expires_at")
    ended = 0
    for session_id in list(due.values_list("id", flat=True)[:BATCH]):
        try:
            expire_if_due(session_id, at=at)
        except Exception:
            log.exception("session.expiry_failed", checkout_session_id=session_id)
        else:
            ended += 1
    return ended


def lock_session(checkout_session_id: str, actor: Actor) -> tuple[Order, CheckoutSession]:
    """
    Return a session with its order, the order locked: whoever changes a session holds its order's lock.

    :raises CheckoutSessionNotFound: if it is absent or foreign.
    """
    order_id = CheckoutSession.objects.of(actor).find(id=checkout_session_id).order_id
    order = Order.objects.of(actor).lock(id=order_id)
    session = CheckoutSession.objects.select_related("environment__merchant").get(id=checkout_session_id)
    session.order = order
    return order, session


def open_session_of(order: Order) -> CheckoutSession | None:
    """Return the session that collects a locked order at the moment."""
    session = CheckoutSession.objects.filter(order_id=order.id, status=SessionStatus.OPEN).order_by("id").first()
    if session:
        session.order = order
    return session


def end(
    order: Order, session: CheckoutSession, status: str, *, reason: str, actor: Actor, at: datetime | None = None
) -> None:
    """
    End an open session of a locked order and remember it; the caller saves the order's counts.

    Its own attempt, if one is under way, stays: the buyer may go on with that one. What else the buyer of an invoice
    prepared in it is canceled.
    """
    at = at or timezone.now()
    session.end(status=status, reason=reason, at=at)
    attempt = session.payment_attempts.filter(status__in=OPEN).order_by("-created_at", "-id").first()
    if attempt is not None and status not in PAID:
        session.recovery_attempt, session.recovery_expires_at = attempt, at + RECOVERY_WINDOW
    session.save()
    if session.invoice_id:
        _let_go_of_legs(order, session, reason, actor)
    word = "completed" if status in PAID else status
    events.record(
        order, f"checkout_session.{word}", subject=session, actor=actor, status=str(status), reason=str(reason)
    )


def _let_go_of_legs(order: Order, session: CheckoutSession, reason: str, actor: Actor) -> None:
    """Cancel what the buyer of an invoice's session prepared and never confirmed: the next one asks anew."""
    why = "invoice_voided" if reason == TerminalReason.INVOICE_VOIDED else "abandoned"
    for leg in session.payment_intents.filter(is_staged=True, status__in=CONFIRMABLE).order_by("created_at", "id"):
        leg.cancel(reason=why)
        leg.save()
        events.record(order, "payment.canceled", subject=leg, actor=actor, amount=leg.amount, reason=why)


def save_counts(order: Order) -> None:
    """Save what a locked order counts of its history; a session changes nothing else of it."""
    order.save(update_fields=["event_count", "updated_at"])


@collecting.when_changed
def invalidate_session(order: Order, actor: Actor) -> None:
    """End the open session of an order that was changed under it. A buyer's own edits leave it open."""
    if actor.is_buyer:
        return
    session = open_session_of(order)
    if session is not None:
        end(order, session, SessionStatus.INVALIDATED, reason=_what_changed(session), actor=actor)


def _what_changed(session: CheckoutSession) -> str:
    """Return why a session ends that asks for what it no longer can: by its invoice, if it is one's."""
    if session.invoice_id is None:
        return TerminalReason.ORDER_MUTATED
    status = Invoice.objects.values_list("status", flat=True).get(id=session.invoice_id)
    return OF_INVOICE.get(status, TerminalReason.INVOICE_BALANCE_CHANGED)


@ledger.when_posted
def invalidate_invoice_session(order: Order, event: Event) -> None:
    """
    End the open session of an invoice whose balance moved by anything but a payment, which ends it by itself: a credit,
    a manual payment or its reversal, a write-off, a dispute.
    """
    if not order.invoice_id or not event.balance_delta_amount or event.type == "payment.settled":
        return
    session = open_session_of(order)
    if session is not None and session.invoice_id:
        actor = actors.system(order.environment_id, "Invoice")
        end(order, session, SessionStatus.INVALIDATED, reason=_what_changed(session), actor=actor)


@collecting.holds_customer
def refuse_another_customer(order: Order) -> None:
    """:raises OrderCustomerCheckoutActive: while a session is open, whose buyer may use what its customer saved."""
    session = open_session_of(order)
    if session is not None and not end_if_due(order, session, at=timezone.now()):
        raise OrderCustomerCheckoutActive(existing_checkout_session_id=session.id)


def refuse_beside_checkout(order: Order, actor: Actor, *, invoice_id: str | None = None) -> CheckoutSession | None:
    """
    Refuse to collect a locked order past its open session: that is for its buyer, whose session is returned.

    For a merchant, one whose time is over ends; the caller saves the order. An invoice may be collected past the
    session that its own buyer has open, which ends when the money is there.

    :raises OrderHasOpenCheckout: with the session's id, for a merchant.
    :raises CheckoutSessionExpired, CheckoutSessionNotOpen: for the buyer of a session that has ended in the meantime.
    """
    if actor.is_buyer:
        return refuse_former_buyer(order, actor)
    session = open_session_of(order)
    if session is None or (invoice_id is not None and session.invoice_id == invoice_id):
        return None
    if not end_if_due(order, session, at=timezone.now()):
        raise OrderHasOpenCheckout(existing_checkout_session_id=session.id)
    return None


def complete_session(order: Order, *, attempt: PaymentAttempt | None = None, actor: Actor, at: datetime) -> None:
    """
    End the open session of a locked order on which money came in, by whichever way it came; the caller saves it.

    That of an invoice tells whether its own buyer paid in it, or the invoice was paid elsewhere.
    """
    session = open_session_of(order)
    if session is None:
        return
    if session.invoice_id and (attempt is None or attempt.checkout_session_id != session.id):
        status, reason = SessionStatus.INVALIDATED, _what_changed(session)
    elif order.outstanding_amount:
        status, reason = SessionStatus.PARTIALLY_PAID, TerminalReason.PAYMENT_PARTIALLY_SUCCEEDED
    else:
        status, reason = SessionStatus.PAID, TerminalReason.PAYMENT_SUCCEEDED
    end(order, session, status, reason=reason, actor=actor, at=at)
