"""The routes of credit notes that give money back: issuing one with a refund, and refunds of one."""

from typing import Any

from flint.api.fields import EnumField, MoneyField, StrictString
from flint.api.idempotency import idempotent, named_by_key, require_key
from flint.api.paging import paginate
from flint.api.queries import ListQuery
from flint.api.serializers import Input
from invoices import notes
from invoices.api.credit_notes.inputs import CreditNoteActionInput, ExpectedVersionField
from invoices.api.credit_notes.outputs import CreditNoteOutput
from invoices.api.credit_notes.views import LINES, NOT_FOUND, CreditNoteRoute
from invoices.services.credit_notes import issue_credit_note
from orders.api.serializers import Derived
from refunds import selectors
from refunds.api.outputs import RefundOutput
from refunds.models import Reason
from refunds.services import credit_notes

PAYMENTS = [
    "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE",
    "CREDIT_NOTE_REFUND_INVALID",
    "CREDIT_NOTE_CURRENCY_MISMATCH",
    "AMOUNT_EXCEEDS_REFUNDABLE",
    "NOTHING_TO_REFUND",
    "NO_PAYMENTS_FOR_ORDER",
    "PAYMENT_INTENT_DISPUTED",
    "IDEMPOTENCY_KEY_REQUIRED",
]


class NoteRefundInput(Input):
    """What of the note's credit goes back, all that is available unless an amount is named, and why."""

    reason = EnumField(Reason.values, code="INVALID_REFUND_REASON")
    amount_money = MoneyField(min_amount=1, required=False, code_below="AMOUNT_TOO_SMALL")
    reason_message = StrictString(max_length=500, required=False)


class CreateNoteRefundInput(NoteRefundInput):
    """As above, with the version that the caller decided on."""

    expected_version = ExpectedVersionField()


class IssueCreditNoteInput(CreditNoteActionInput):
    """The version that the caller decided on, and what goes back at once, if anything."""

    refund = NoteRefundInput(required=False)


class IssuedCreditNoteOutput(CreditNoteOutput):
    """A credit note just issued, and the refund that was made with it, if one was."""

    refund = Derived(lambda note: getattr(note, "made_refund", None), RefundOutput(), required=False)


class NoteRefundQuery(ListQuery):
    """Which refunds of a note to list, the newest first, failed ones too."""

    idempotency_key = StrictString(required=False, lookup="command_key")


class CreditNoteIssue(CreditNoteRoute):
    inputs = {"POST": IssueCreditNoteInput}
    outputs = {"POST": IssuedCreditNoteOutput}
    codes = {
        "POST": [
            NOT_FOUND,
            "CREDIT_NOTE_NOT_DRAFT",
            "CREDIT_NOTE_CHANGED",
            "INVALID_CREDIT_NOTE",
            "INVOICE_NOT_CREDITABLE",
            *LINES,
            *PAYMENTS,
        ]
    }
    names = {"POST": "issue_credit_note"}

    @idempotent
    def post(self, request, credit_note_id: str):
        """
        Issue a credit note: it gets its number and never changes again.

        By itself that moves nothing. With `refund`, money of the paid invoice goes back in the same step, and the
        Idempotency-Key is required; a refund that is pending counts as success.
        """
        data = self.validated()
        version = data.get("expected_version")
        made = None
        if "refund" in data:
            require_key(request)
            issued = credit_notes.issue_with_refund(
                credit_note_id, refund=data["refund"], expected_version=version, actor=request.actor
            )
            made = issued.refund
        else:
            issue_credit_note(credit_note_id, expected_version=version, actor=request.actor)
        note = notes.read_note(credit_note_id, actor=request.actor)
        note.made_refund = made
        return self.reply(note)


class CreditNoteRefunds(CreditNoteRoute):
    inputs = {"POST": CreateNoteRefundInput}
    queries = {"GET": NoteRefundQuery}
    outputs = {"GET": [RefundOutput], "POST": RefundOutput}
    statuses = {"POST": 201}
    codes = {"GET": [NOT_FOUND], "POST": [NOT_FOUND, "CREDIT_NOTE_NOT_ISSUED", "CREDIT_NOTE_CHANGED", *PAYMENTS]}
    names = {"GET": "list_credit_note_refunds", "POST": "create_credit_note_refund"}

    def get(self, request, credit_note_id: str):
        """List the refunds of a credit note, newest first, those that failed too."""
        return self.reply_page(paginate(selectors.of_note(credit_note_id, actor=request.actor), self.query()))

    @named_by_key
    def post(self, request, credit_note_id: str):
        """
        Give money of a paid invoice back by its credit note, through the payments it was paid with.

        The Idempotency-Key is required and names the refund for as long as there is the refund. What failed is not
        tried another way by itself; its credit is free again, for another request with a new key.
        """
        data: dict[str, Any] = self.validated()
        version = data.pop("expected_version", None)
        made = credit_notes.refund_credit_note(credit_note_id, data=data, expected_version=version, actor=request.actor)
        reply = self.reply(selectors.read_refund(made.refund.id, actor=request.actor))
        if made.is_repeat:
            reply["Idempotency-Replayed"] = "true"
        return reply
