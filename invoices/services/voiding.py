"""Taking an invoice back, whose order is then free again: to be changed, and to be collected another way."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from invoices.models import CreditNote, Invoice, InvoiceLateFee
from invoices.models.credit_notes import CreditNoteStatus
from invoices.models.invoices import ASKING, STANDING, S
from invoices.services.locking import lock_invoice, remember
from invoices.services.paying import refuse_while_paying
from orders.models import Order
from orders.services import pricing
from orders.services.editing import Edit


class InvoiceNotVoidable(Conflict):
    code = "INVOICE_NOT_VOIDABLE"
    message = "Money came in for the invoice, or it is done with. Correct it with a credit note instead."


class InvoiceHasIssuedCreditNote(Conflict):
    code = "INVOICE_HAS_ISSUED_CREDIT_NOTE"
    message = "A credit note corrects the invoice. Void the note first."


def void_invoice(
    *, invoice_id: str, expected_version: int | None = None, actor: Actor, at: datetime | None = None
) -> Invoice:
    """
    Take back a draft, or an invoice for which nothing came in since its issue. Its number stays its own.

    Its order is free for edits and for other ways of collecting, less late fees that nobody paid.

    :raises InvoiceNotFound: if it is absent or foreign.
    :raises InvoiceDraftChanged, InvoiceVersionConflict: if another version was expected.
    :raises InvoiceNotVoidable: if money came in for it, or if it no longer asks for any.
    :raises InvoiceHasIssuedCreditNote: while a note corrects it.
    :raises InvoicePaymentResolving, InvoicePaymentProcessing: if a payment is under way.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor, expected_version=expected_version)
        if invoice.status == S.DRAFT:
            invoice.void(at=at)
            remember(order, invoice, "invoice.voided", actor=actor)
            invoice.save()
            order.save()
            return invoice
        _refuse(order, invoice)
        invoice.void(at=at)
        invoice.version += 1
        invoice.save()
        _release(order)
        edit = Edit(order, pricing.load(order), actor)
        fees = set(InvoiceLateFee.objects.filter(invoice_id=invoice.id).values_list("charge_id", flat=True))
        for charge in [charge for charge in edit.parts.charges if charge.id in fees]:
            edit.remove(charge)
        edit.tell("invoice.voided", invoice, number=invoice.number, version=invoice.version)
        edit.commit()
    return invoice


def _refuse(order: Order, invoice: Invoice) -> None:
    if invoice.status not in ASKING:
        raise InvoiceNotVoidable(current_status=str(invoice.status))
    refuse_while_paying(order)
    notes = CreditNote.objects.filter(invoice_id=invoice.id, status=CreditNoteStatus.ISSUED).order_by("id")
    if note_ids := list(notes.values_list("id", flat=True)[:25]):
        raise InvoiceHasIssuedCreditNote(
            blocking_resources=[{"resource_type": "credit_note", "resource_id": each} for each in note_ids],
            blocking_resource_count=notes.count(),
        )
    if order.paid_amount - invoice.base_paid_amount > invoice.paid_before_amount:
        raise InvoiceNotVoidable(current_status=str(invoice.status))


def _release(order: Order) -> None:
    """Have a locked order no longer be under the invoice that was voided; an earlier one that stands billed it last."""
    standing = Invoice.objects.filter(order_id=order.id, status__in=STANDING).order_by("-sequence")
    earlier = standing.values_list("id", flat=True).first()
    order.bill(earlier or "", is_open=False)
