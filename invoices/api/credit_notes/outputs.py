"""How credit notes are shown."""

from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MoneyField,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output
from flint.api.tax_identities import TaxIdentityOutput
from invoices.api.outputs import InvoiceOutput
from invoices.models import CreditNote
from invoices.models.credit_notes import CreditNoteReason, CreditNoteStatus
from orders.api.serializers import Derived, Filled


def _of_line(column: str) -> Derived:
    return Derived(lambda line: line.note.money(getattr(line, column)), MoneyField())


class CreditNoteLineOutput(Output):
    """What a note takes back of one line of its invoice."""

    credit_note_line_id = IdField("cnl", source="id")
    invoice_line_item_id = StrictString()
    description = StrictString()
    quantity = StrictInteger(required=False)
    subtotal_money = _of_line("subtotal_amount")
    discount_money = _of_line("discount_amount")
    tax_money = _of_line("tax_amount")
    total_money = _of_line("total_amount")


def _of_note(amount) -> Derived:
    return Derived(lambda note: note.money(amount(note.amounts)), MoneyField())


def _identity(name: str) -> Derived:
    return Derived(lambda note: (note.snapshot or {}).get(name), TaxIdentityOutput(), required=False)


class CreditNoteOutput(Output):
    """
    A document that takes back a part of an invoice. `unallocated_money` is what was not applied to it; what of that
    also did not go back to the buyer, and is not on its way, can still be used.
    """

    merchant_only = {"external_reference_id"}

    credit_note_id = IdField("cn", source="id")
    credit_note_number = Filled("number")
    invoice_id = IdField("inv")
    merchant_id = IdField("mer", source="environment.merchant_id")
    status = EnumField(CreditNoteStatus.values)
    reason = EnumField(CreditNoteReason.values)
    credit_note_lines = ListOf(CreditNoteLineOutput(), source="lines")
    total_money = _of_note(lambda amounts: amounts.total)
    unallocated_money = _of_note(lambda amounts: amounts.unallocated)
    refunded_money = _of_note(lambda amounts: amounts.returned.refunded)
    pending_refund_money = _of_note(lambda amounts: amounts.returned.pending)
    latest_refund_status = Derived(
        lambda note: note.amounts.returned.latest_status or None, StrictString(), required=False
    )
    memo = Filled("memo")
    external_reference_id = Derived(
        lambda note: note.external_reference_id or None, ExternalReferenceField(), required=False
    )
    seller_tax_identity = _identity("seller_tax_identity")
    buyer_tax_identity = _identity("buyer_tax_identity")
    version = StrictInteger()
    issued_at = TimestampField(required=False)
    voided_at = TimestampField(required=False)
    created_at = TimestampField()
    updated_at = TimestampField()

    def to_representation(self, instance: CreditNote):
        for line in instance.lines.all():
            line.note = instance
        return super().to_representation(instance)


class CreditNoteAllocationOutput(Output):
    """Credit applied to an invoice. `idempotency_key` is its identity within the note."""

    credit_note_allocation_id = IdField("cna", source="id")
    credit_note_id = IdField("cn", source="note_id")
    invoice_id = IdField("inv", source="note.invoice_id")
    amount_money = Derived(lambda allocation: allocation.note.money(allocation.amount), MoneyField())
    allocated_at = TimestampField()
    reversed_at = TimestampField(required=False)
    idempotency_key = StrictString()


class AllocatedOutput(Output):
    """Credit applied, or taken off, with note and invoice as they are then."""

    credit_note_allocation = CreditNoteAllocationOutput()
    credit_note = CreditNoteOutput()
    invoice = InvoiceOutput()
