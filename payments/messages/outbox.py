"""Writing into the outbox, in the transaction of the fact that a message tells of."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from django.utils.crypto import salted_hmac

from flint.celery import after_commit
from orders.models import Customer, Order
from payments import tasks
from payments.models import CheckoutSession, Message, MessageSettings, PaymentAttempt, PaymentIntent, PaymentOperation

FALLBACK = "en"


def queue(
    order: Order, kind: str, *, source_id: str, recipient: str, language: str = "", at: datetime | None = None
) -> Message | None:
    """
    Write a message about a fact of a locked order; it is sent once the transaction has committed.

    Returns None, and writes nothing, if there is no address to send it to or the fact has been told before.
    """
    if not is_address(recipient):
        return None
    message = Message(
        environment_id=order.environment_id,
        order_id=order.id,
        kind=kind,
        source_id=source_id,
        recipient=recipient,
        recipient_digest=digest_of(order.environment_id, recipient),
        language=language or language_of_order(order),
        next_at=at or timezone.now(),
    )
    if Message.objects.filter(kind=kind, source_id=source_id).exists():
        return None
    message.save(force_insert=True)
    after_commit(tasks.send_message, message_id=message.id)
    return message


def queue_receipt(order: Order, operation: PaymentOperation) -> None:
    """Tell the buyer of a locked order that it is paid, once the payment that did it has settled."""
    if order.payment_status != "paid":
        return
    recipient = address_on_file(order)
    if recipient and not is_muted(order.environment_id, "receipt"):
        queue(order, "receipt", source_id=operation.id, recipient=recipient)


def queue_late_failure(order: Order, leg: PaymentIntent, operation: PaymentOperation) -> None:
    """Tell the buyer that a bank debit did not bring the money after all; they have left the page long ago."""
    if leg.source_type != "ach_debit":
        return
    recipient = address_on_file(order)
    if recipient and not is_muted(order.environment_id, "payment_failed"):
        queue(order, "payment_failed", source_id=operation.id, recipient=recipient)


def is_muted(environment_id: str, kind: str) -> bool:
    """Whether the merchant writes this kind of message itself."""
    return MessageSettings.objects.filter(environment_id=environment_id, muted_kinds__contains=[kind]).exists()


def address_on_file(order: Order) -> str:
    """Return where an order's buyer is written to: the contact of its payment, else its customer's; empty if none."""
    if order.contact_email or not order.customer_id:
        return order.contact_email
    known = Customer.objects.filter(id=order.customer_id).order_by("id")
    return known.values_list("email", flat=True).first() or ""


def address_typed(order: Order) -> str:
    """Return the address on file, else the one that was last typed into a checkout of the order: for staff to check."""
    if found := address_on_file(order):
        return found
    sessions = CheckoutSession.objects.filter(order_id=order.id).exclude(contact_email="")
    return sessions.order_by("-created_at", "-id").values_list("contact_email", flat=True).first() or ""


def language_of_order(order: Order) -> str:
    """Return the locale that the buyer last paid in, or looked at the page in; English if none is known."""
    paid_in = PaymentAttempt.objects.filter(order_id=order.id, checkout_session__locale__gt="")
    found = paid_in.order_by("-created_at", "-id").values_list("checkout_session__locale", flat=True).first()
    if not found:
        looked_at = CheckoutSession.objects.filter(order_id=order.id, locale__gt="")
        found = looked_at.order_by("-created_at", "-id").values_list("locale", flat=True).first()
    return found or FALLBACK


def normalized(address: str) -> str:
    """Return the one form of an address that counts as the same."""
    return address.strip().lower()


def digest_of(environment_id: str, address: str) -> str:
    """Return what is kept of an address for good: enough to know it again, not enough to write to it."""
    return salted_hmac("flint messages", f"{environment_id} {normalized(address)}", algorithm="sha256").hexdigest()


def is_address(text: str) -> bool:
    """Whether a text is one address, and nothing that could add a line or a second one to a mail's head."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 255 and text.isprintable() and not any(sign in text for sign in ",;<>")
