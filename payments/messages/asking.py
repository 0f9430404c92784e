"""Messages that somebody asks for: a receipt once more, or a link to pay what is still owed."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput, TooManyRequests
from flint.events import services as events
from flint.messages import outbox
from flint.messages.models import Message, MessageStatus, masked
from flint.messages.muting import is_muted
from orders.contacts import address_on_file
from orders.models import Order
from payments.messages.queueing import address_typed
from payments.messages.receipts import is_available
from payments.services.links.recovery import create_pay_link
from payments.services.sessions.ending import save_counts

PAUSE = timedelta(minutes=5)
MOST_ADDRESSES = 3
"""So many different addresses a buyer may name in an order's life, where none is on file."""


class OrderReceiptNotAvailable(Conflict):
    code = "ORDER_RECEIPT_NOT_AVAILABLE"
    message = "There is a receipt once the order is paid."


class OrderReceiptEmailUnavailable(Conflict):
    code = "ORDER_RECEIPT_EMAIL_UNAVAILABLE"
    message = "The receipt cannot be sent there. A buyer's goes to the address on file; name one only if there is none."


class OrderReceiptMerchantManaged(Conflict):
    code = "ORDER_RECEIPT_MERCHANT_MANAGED"
    message = "The merchant sends its receipts itself."


class OrderReceiptResendRateLimited(TooManyRequests):
    code = "ORDER_RECEIPT_RESEND_RATE_LIMITED"
    message = "It was sent to this address less than five minutes ago."


class InvalidRecipient(InvalidInput):
    code = "INVALID_EMAIL_FORMAT"
    message = "This is no address that a message can be sent to."


def send_receipt(*, order_id: str, email: str = "", actor: Actor, at: datetime | None = None) -> Message:
    """
    Queue the receipt of a paid order for an address, or for the one on file.

    :raises OrderNotFound: if the order is absent or foreign. :raises OrderReceiptNotAvailable: if it is not paid.
    :raises OrderReceiptMerchantManaged: if the merchant has switched receipts off.
    :raises OrderReceiptEmailUnavailable: if there is no address, or it is not one that this buyer may name.
    :raises OrderReceiptResendRateLimited: if the address got it less than five minutes ago.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        if not is_available(order):
            raise OrderReceiptNotAvailable(current_status=order.payment_status)
        if is_muted(order.environment_id, "receipt"):
            raise OrderReceiptMerchantManaged
        on_file = address_on_file(order)
        recipient = email or on_file
        if not recipient:
            raise OrderReceiptEmailUnavailable("No address is on file for this order. Name one.", param="email")
        if actor.is_buyer:
            _refuse_other_addresses(order, recipient, on_file)
        return _queue(order, "receipt", "", recipient, actor, at)


def send_pay_link(*, order_id: str, email: str = "", actor: Actor, at: datetime | None = None) -> Message:
    """
    Make a link to pay what an order owes and queue it for an address, or for the one on file or last typed.

    :raises OrderNotFound, OrderClosed: by the order. :raises OrderAlreadyPaid: if nothing is owed on it.
    :raises OrderReceiptEmailUnavailable: if there is no address.
    :raises OrderReceiptResendRateLimited: if the address got one less than five minutes ago.
    """
    at = at or timezone.now()
    with transaction.atomic():
        link = create_pay_link(order_id=order_id, actor=actor)
        order = Order.objects.of(actor).lock(id=order_id)
        recipient = email or address_typed(order)
        if not recipient:
            raise OrderReceiptEmailUnavailable("No address is on file for this order. Name one.", param="email")
        return _queue(order, "pay_link", link.id, recipient, actor, at)


def _queue(order: Order, kind: str, source_id: str, recipient: str, actor: Actor, at: datetime) -> Message:
    """Queue a message that was asked for on a locked order, and remember who asked."""
    if not outbox.is_address(recipient):
        raise InvalidRecipient(param="email")
    _refuse_soon_again(order, kind, recipient, at)
    event = events.record(order, "order.message_requested", subject=order, actor=actor, kind=kind, to=masked(recipient))
    message = outbox.queue(order, kind, source_id=source_id or event.id, recipient=recipient, at=at)
    save_counts(order)
    return message


def _refuse_other_addresses(order: Order, recipient: str, on_file: str) -> None:
    """Keep a buyer to the address on file, or to a few where there is none: a checkout is not for writing to people."""
    if on_file:
        if outbox.normalized(recipient) != outbox.normalized(on_file):
            raise OrderReceiptEmailUnavailable(param="email")
        return
    receipts = Message.objects.filter(order_id=order.id, kind="receipt")
    known = set(receipts.values_list("recipient_digest", flat=True))
    known.add(outbox.digest_of(order.environment_id, recipient))
    if len(known) > MOST_ADDRESSES:
        raise OrderReceiptEmailUnavailable(
            "The receipt has been sent to as many addresses as it may be.", param="email", limit=MOST_ADDRESSES
        )


def _refuse_soon_again(order: Order, kind: str, recipient: str, at: datetime) -> None:
    digest = outbox.digest_of(order.environment_id, recipient)
    lately = Message.objects.filter(order_id=order.id, kind=kind, recipient_digest=digest, created_at__gt=at - PAUSE)
    last = lately.exclude(status=MessageStatus.FAILED).order_by("-created_at").values_list("created_at", flat=True)
    if newest := last.first():
        raise OrderReceiptResendRateLimited(retry_after=max(int((newest + PAUSE - at).total_seconds()), 1))
