"""Giving up on what an invoice still asks for."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from invoices.amounts import amounts_of
from invoices.asking import asked_of
from invoices.models import Invoice
from invoices.models.invoices import ASKING
from invoices.services.locking import lock_invoice, remember
from invoices.services.paying import refuse_while_paying
from orders import ledger


class InvoiceNotMarkableUncollectible(Conflict):
    code = "INVOICE_NOT_MARKABLE_UNCOLLECTIBLE"
    message = "The invoice asks for nothing that could be given up."


def mark_uncollectible(
    *, invoice_id: str, expected_version: int | None = None, actor: Actor, at: datetime | None = None
) -> Invoice:
    """
    Write off what is left of an invoice, late fees included: nobody asks for it any more, and it was not paid.

    :raises InvoiceNotFound: if it is absent or foreign.
    :raises InvoiceDraftChanged, InvoiceVersionConflict: if another version was expected.
    :raises InvoiceNotMarkableUncollectible: if it asks for nothing.
    :raises InvoicePaymentResolving, InvoicePaymentProcessing: if a payment is under way.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor, expected_version=expected_version)
        if invoice.status not in ASKING:
            raise InvoiceNotMarkableUncollectible(current_status=str(invoice.status))
        refuse_while_paying(order)
        amounts = amounts_of(invoice, order)
        for standing in asked_of(invoice, amounts, at=at).fees:
            standing.fee.written_off_amount = standing.filled.outstanding
            standing.fee.save(update_fields=["written_off_amount", "updated_at"])
        written_off = order.money(amounts.outstanding)
        # The status comes first: what is posted below moves it no more.
        invoice.write_off(written_off, at=at)
        order.credit(written_off)
        order.bill(invoice.id, is_open=False)
        order.order_revision += 1
        event = remember(
            order, invoice, "invoice.marked_uncollectible", actor=actor, written_off_amount=written_off.amount
        )
        invoice.save()
        ledger.post(order, event, [ledger.Posting("write_off", written_off.amount, invoice.id)])
        order.save()
    return invoice
