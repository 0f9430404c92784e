"""Sending an issued invoice once more, to whoever lost it."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from flint.events import services as events
from invoices.models import InvoiceDelivery
from invoices.models.deliveries import DeliveryType
from invoices.models.invoices import DeliveryMode
from invoices.services import delivering
from invoices.services.locking import lock_invoice, refuse_draft, save_counts
from invoices.services.paying import InvoiceNotCollectible


class InvoiceDeliveredByCaller(Conflict):
    code = "INVALID_DELIVERY_MODE"
    message = "The merchant delivers this invoice itself; Flint sends none of it."


def send_again(
    *, invoice_id: str, expected_version: int | None = None, actor: Actor, at: datetime | None = None
) -> InvoiceDelivery:
    """
    Email an issued invoice once more, with its document and its link.

    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceVersionConflict: if another was expected.
    :raises InvoiceNotIssued, InvoiceNotCollectible: if it asks for nothing.
    :raises InvoiceDeliveredByCaller: if Flint does not send it at all.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor, expected_version=expected_version)
        refuse_draft(invoice)
        if not invoice.is_asking:
            raise InvoiceNotCollectible(current_status=str(invoice.status))
        if invoice.delivery_mode == DeliveryMode.CALLER_MANAGED:
            raise InvoiceDeliveredByCaller()
        event = events.record(order, "invoice.send_requested", subject=invoice, actor=actor)
        delivery = delivering.send(
            order, invoice, fact=f"sent again {event.id}", type=DeliveryType.SEND, actor=actor, at=at
        )
        save_counts(order)
    return delivery
