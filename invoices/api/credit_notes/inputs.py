"""What the credit note operations take."""

from flint.api.fields import EnumField, ExternalReferenceField, IdField, ListOf, MoneyField, StrictInteger, StrictString
from flint.api.queries import ListQuery
from flint.api.serializers import Input, Patch, Tagged
from invoices import notes
from invoices.models.credit_notes import CreditNoteReason, CreditNoteStatus

MEMO_LENGTH = 4096
MOST_LINES = 1_000
MAX_QUANTITY = 1_000_000_000


class ExpectedVersionField(StrictInteger):
    """The version that the caller has read."""

    def __init__(self, **kwargs):
        super().__init__(**{"minimum": 1, "required": False, "code": "INVALID_EXPECTED_VERSION", **kwargs})


class QuantityCorrectionInput(Input):
    """So many units of the line."""

    quantity = StrictInteger(minimum=1, maximum=MAX_QUANTITY, code="INVALID_CREDIT_NOTE_LINE")


class AmountCorrectionInput(Input):
    """So much of the line, tax included."""

    amount_money = MoneyField(min_amount=1, code_below="INVALID_CREDIT_NOTE_LINE")


class CorrectionInput(Tagged):
    """How much of a line is taken back: units or an amount."""

    codes = {"choice": "INVALID_CREDIT_NOTE_CORRECTION_TYPE"}
    variants = {"quantity": QuantityCorrectionInput, "amount": AmountCorrectionInput}


class CreditNoteLineInput(Input):
    """
    What is taken back of one line of the invoice, with its shares of discount and tax.

    `invoice_line_item_id` may also be the id of a charge or of a flat tax on the invoice, or `tip`: an addition of
    Flint's, so that all that an invoice bills can be credited.
    """

    invoice_line_item_id = StrictString(max_length=64, code="INVALID_CREDIT_NOTE_LINE")
    correction = CorrectionInput()
    credit_note_line_id = IdField("cnl", required=False, code="INVALID_CREDIT_NOTE_LINE")


def _lines(**kwargs) -> ListOf:
    return ListOf(CreditNoteLineInput(), max_length=MOST_LINES, required=False, **kwargs)


class CreateCreditNoteInput(Input):
    """A credit note to prepare. Its lines may be left for later."""

    invoice_id = IdField("inv")
    reason = EnumField(CreditNoteReason.values, code="INVALID_CREDIT_NOTE_REASON")
    credit_note_lines = _lines()
    memo = StrictString(max_length=MEMO_LENGTH, min_length=0, required=False, code="INVALID_CREDIT_NOTE_MEMO")
    external_reference_id = ExternalReferenceField(required=False)


class UpdateCreditNoteInput(Patch):
    """A change of a draft. Lines replace those it has, and need `expected_version`; `memo` null clears it."""

    guards = ("expected_version",)

    reason = EnumField(CreditNoteReason.values, code="INVALID_CREDIT_NOTE_REASON")
    credit_note_lines = _lines()
    memo = StrictString(max_length=MEMO_LENGTH, min_length=0, allow_null=True, code="INVALID_CREDIT_NOTE_MEMO")
    external_reference_id = ExternalReferenceField()
    expected_version = ExpectedVersionField()


class CreditNoteActionInput(Input):
    """The version that the caller decided on."""

    body_optional = True

    expected_version = ExpectedVersionField()


class AllocateInput(Input):
    """How much credit to apply to the invoice."""

    amount_money = MoneyField(min_amount=1, code_below="AMOUNT_TOO_SMALL")
    expected_version = ExpectedVersionField()


class CreditNoteQuery(ListQuery):
    """Which credit notes to list, the newest first."""

    invoice_id = IdField("inv", required=False, lookup="invoice_id")
    status = EnumField(CreditNoteStatus.values, required=False, code="INVALID_CREDIT_NOTE_STATUS", lookup="status")
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")
    query = StrictString(required=False)

    def apply(self, rows):
        rows = super().apply(rows)
        return notes.matching(rows, self.values["query"]) if "query" in self.values else rows


class AllocationQuery(ListQuery):
    """Which allocations to list, the newest first."""

    idempotency_key = StrictString(required=False, lookup="idempotency_key")
