"""What the rows of invoices say has come in by hand and is no longer owed, for the explanation of an order."""

from collections.abc import Iterator

from invoices.models import CreditNoteAllocation, Invoice
from orders.explaining import Claim, accounts_for
from orders.models import ManualPayment, Order


@accounts_for
def account_for_manual_payments(order: Order) -> Iterator[Claim]:
    """Tell what was recorded by hand, and taken back: one statement."""
    for payment in ManualPayment.objects.filter(order_id=order.id).order_by("created_at", "id"):
        amount = -payment.amount if payment.is_reversal else payment.amount
        yield Claim("paid", amount, "manual_payment", payment.id, payment.id)


@accounts_for
def account_for_credit_notes(order: Order) -> Iterator[Claim]:
    """Tell what each credit note takes off what is owed: one statement."""
    applied = CreditNoteAllocation.objects.filter(note__order_id=order.id)
    for allocation in applied.order_by("created_at", "id"):
        amount = 0 if allocation.reversed_at else allocation.amount
        yield Claim("credit", amount, "credit_note", allocation.note_id, allocation.id)


@accounts_for
def account_for_write_offs(order: Order) -> Iterator[Claim]:
    """Tell what invoices gave up: one statement, for orders that were billed."""
    if not order.invoice_id:
        return
    given_up = Invoice.objects.filter(order_id=order.id, written_off_amount__gt=0)
    for invoice in given_up.order_by("sequence"):
        yield Claim("credit", invoice.written_off_amount, "invoice", invoice.id, invoice.id)
