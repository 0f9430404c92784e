"""Sending an invoice and reminding of it by email: one row for each fact, kept in step with its message."""

from datetime import datetime

from flint import actors
from flint.actors import Actor
from flint.events import services as events
from flint.messages import outbox
from flint.messages.kinds import when_done
from flint.messages.models import Message, MessageStatus
from flint.messages.muting import is_muted
from invoices.models import Invoice, InvoiceDelivery
from invoices.models.deliveries import DeliveryStatus, DeliveryType
from invoices.models.invoices import DeliveryMode
from orders.contacts import address_on_file
from orders.models import Order

KINDS = {DeliveryType.SEND: "invoice", DeliveryType.REMINDER: "invoice_reminder"}
NO_ADDRESS = "no_address"
UNNEEDED = ("void", "nothing_owed")
"""Why a message of these kinds may have become needless before it went out; that is no failure."""


def send(order: Order, invoice: Invoice, *, fact: str, type: str, actor: Actor, at: datetime) -> InvoiceDelivery:
    """
    Write the email about a fact of a locked order's invoice; it goes out after the commit. The caller saves the order.

    Nothing is mailed where the caller delivers the invoice itself, and no reminder where the merchant writes its own:
    the row then says ``suppressed``. Without an address it says ``failed``.

    :param fact: what it is about. The same fact twice is refused by the database, and rolls back whoever tells it.
    """
    recipient = invoice.recipient_email or address_on_file(order)
    delivery = InvoiceDelivery(
        environment_id=invoice.environment_id,
        invoice=invoice,
        delivery_type=type,
        fact=fact,
        to_email=recipient,
        cc_emails=invoice.cc_emails,
    )
    kind = KINDS[DeliveryType(type)]
    if _is_suppressed(invoice, kind, type):
        delivery.status = DeliveryStatus.SUPPRESSED
    elif outbox.queue(
        order,
        kind,
        source_id=delivery.id,
        recipient=recipient,
        cc=invoice.cc_emails,
        language=invoice.language,
        at=at,
    ):
        if type == DeliveryType.SEND:
            events.record(order, "invoice.sent", subject=invoice, actor=actor, **_told(delivery))
    else:
        _fail(order, invoice, delivery, NO_ADDRESS, actor)
    delivery.save(force_insert=True)
    return delivery


@when_done("invoice")
@when_done("invoice_reminder")
def keep(order: Order, message: Message, at: datetime) -> None:
    """Keep a delivery in step with its message, and tell whether it went out."""
    delivery = InvoiceDelivery.objects.select_related("invoice").get(id=message.source_id)
    actor = actors.system(message.environment_id, "Messages")
    if message.status == MessageStatus.SENT:
        delivery.status, delivery.sent_at = DeliveryStatus.SENT, at
        events.record(order, "invoice.delivery_succeeded", subject=delivery.invoice, actor=actor, **_told(delivery))
    elif message.error in UNNEEDED:
        delivery.status, delivery.error_message = DeliveryStatus.SUPPRESSED, message.error
    else:
        _fail(order, delivery.invoice, delivery, message.error, actor)
    delivery.save(update_fields=["status", "sent_at", "error_message", "updated_at"])


def _is_suppressed(invoice: Invoice, kind: str, type: str) -> bool:
    if invoice.delivery_mode == DeliveryMode.CALLER_MANAGED:
        return True
    return type == DeliveryType.REMINDER and is_muted(invoice.environment_id, kind)


def _fail(order: Order, invoice: Invoice, delivery: InvoiceDelivery, reason: str, actor: Actor) -> None:
    delivery.status, delivery.error_message = DeliveryStatus.FAILED, reason
    events.record(order, "invoice.delivery_failed", subject=invoice, actor=actor, **_told(delivery), reason=reason)


def _told(delivery: InvoiceDelivery) -> dict[str, str]:
    """Say which delivery it is. To whom is with the delivery: what happened is told without addresses."""
    return {"invoice_delivery_attempt_id": delivery.id, "delivery_type": str(delivery.delivery_type)}
