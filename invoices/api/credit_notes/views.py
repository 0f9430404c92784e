"""The routes of credit notes, but for those that give money back: ``refunds.api.credit_notes``."""

from django.http import HttpResponse

from flint.api.idempotency import idempotent, named_by_key
from flint.api.paging import Page, paginate
from flint.api.responses import Reply
from flint.api.views import ApiView
from invoices import notes, reading
from invoices.api.credit_notes.inputs import (
    AllocateInput,
    AllocationQuery,
    CreateCreditNoteInput,
    CreditNoteActionInput,
    CreditNoteQuery,
    UpdateCreditNoteInput,
)
from invoices.api.credit_notes.outputs import AllocatedOutput, CreditNoteAllocationOutput, CreditNoteOutput
from invoices.documents import pdf_of_credit_note
from invoices.models import CreditNote
from invoices.services import credit_notes
from invoices.services.credit_notes import Allocated

NOT_FOUND = "RESOURCE_NOT_FOUND"
LINES = ["INVALID_CREDIT_NOTE_LINE", "CREDIT_NOTE_AMOUNT_EXCEEDS_CREDITABLE", "CREDIT_NOTE_CURRENCY_MISMATCH"]
BALANCE = ["CREDIT_NOTE_CHANGED", "CREDIT_NOTE_NOT_ISSUED", "ORDER_PAYMENT_ATTEMPT_ACTIVE"]


class CreditNoteRoute(ApiView):
    """A route under credit notes: read with one scope, changed with the other."""

    tag = "Credit notes"
    scopes = {
        "GET": "commerce.credit_notes.read",
        "POST": "commerce.credit_notes.write",
        "PATCH": "commerce.credit_notes.write",
    }

    def reply_note(self, note: CreditNote) -> Reply:
        """Answer with a note as it is now."""
        return self.reply(notes.read_note(note.id, actor=self.request.actor))


class CreditNoteCollection(CreditNoteRoute):
    inputs = {"POST": CreateCreditNoteInput}
    queries = {"GET": CreditNoteQuery}
    outputs = {"GET": [CreditNoteOutput], "POST": CreditNoteOutput}
    statuses = {"POST": 201}
    codes = {"POST": ["INVOICE_NOT_FOUND", "INVOICE_NOT_CREDITABLE", *LINES]}
    names = {"GET": "list_credit_notes", "POST": "create_credit_note"}

    def get(self, request):
        """List credit notes, newest first."""
        page = paginate(notes.readable_notes(request.actor), self.query())
        return self.reply_page(Page(notes.with_amounts(page.items), page.next_page_token))

    @idempotent
    def post(self, request):
        """
        Prepare a credit note for an issued invoice.

        A draft takes nothing back. What it credits of each line, with its shares of discount and tax, is worked out
        from the invoice, and once more when the note is issued.
        """
        return self.reply_note(credit_notes.create_credit_note(data=self.validated(), actor=request.actor))


class CreditNoteView(CreditNoteRoute):
    inputs = {"PATCH": UpdateCreditNoteInput}
    outputs = {"GET": CreditNoteOutput, "PATCH": CreditNoteOutput}
    codes = {
        "GET": [NOT_FOUND],
        "PATCH": [
            NOT_FOUND,
            "CREDIT_NOTE_NOT_DRAFT",
            "CREDIT_NOTE_CHANGED",
            "INVOICE_NOT_CREDITABLE",
            "EXPECTED_VERSION_REQUIRED",
            *LINES,
        ],
    }
    names = {"GET": "get_credit_note", "PATCH": "update_credit_note"}

    def get(self, request, credit_note_id: str):
        """Get a credit note."""
        return self.reply(notes.read_note(credit_note_id, actor=request.actor))

    @idempotent
    def patch(self, request, credit_note_id: str):
        """Change a draft in one step. Lines that are sent replace those it has."""
        note = credit_notes.update_credit_note(credit_note_id, data=self.validated(), actor=request.actor)
        return self.reply_note(note)


class CreditNoteVoid(CreditNoteRoute):
    inputs = {"POST": CreditNoteActionInput}
    outputs = {"POST": CreditNoteOutput}
    codes = {"POST": [NOT_FOUND, "CREDIT_NOTE_CHANGED", "CREDIT_NOTE_NOT_ISSUED", "CREDIT_NOTE_HAS_ALLOCATIONS"]}
    names = {"POST": "void_credit_note"}

    @idempotent
    def post(self, request, credit_note_id: str):
        """
        Take an issued credit note back for good.

        Not while credit of it is applied to its invoice, nor once any of it went back to the buyer.
        """
        version = self.validated().get("expected_version")
        note = credit_notes.void_credit_note(credit_note_id, expected_version=version, actor=request.actor)
        return self.reply_note(note)


class CreditNotePdf(CreditNoteRoute):
    file_type = "application/pdf"
    codes = {"GET": [NOT_FOUND, "INVOICE_PDF_UNAVAILABLE"]}
    names = {"GET": "get_credit_note_pdf"}

    def get(self, request, credit_note_id: str):
        """Get the document of a credit note. It never changes."""
        note = notes.readable_notes(request.actor).find(id=credit_note_id)
        return as_file(pdf_of_credit_note(note), name=note.number)


class AllocationRoute(CreditNoteRoute):
    def reply_allocated(self, made: Allocated, status: int | None = None) -> Reply:
        """Answer with credit that was applied or taken off."""
        actor = self.request.actor
        shown = {
            "credit_note_allocation": made.allocation,
            "credit_note": notes.read_note(made.note.id, actor=actor),
            "invoice": reading.read_invoice(made.invoice.id, actor=actor),
        }
        reply = self.reply(AllocatedOutput(shown), status)
        if made.is_repeat:
            reply["Idempotency-Replayed"] = "true"
        return reply


class AllocationCollection(AllocationRoute):
    inputs = {"POST": AllocateInput}
    queries = {"GET": AllocationQuery}
    outputs = {"GET": [CreditNoteAllocationOutput], "POST": AllocatedOutput}
    statuses = {"POST": 201}
    codes = {
        "GET": [NOT_FOUND],
        "POST": [
            NOT_FOUND,
            *BALANCE,
            "CREDIT_NOTE_CURRENCY_MISMATCH",
            "CREDIT_NOTE_ALLOCATION_EXCEEDS_BALANCE",
            "IDEMPOTENCY_KEY_REQUIRED",
        ],
    }
    names = {"GET": "list_credit_note_allocations", "POST": "create_credit_note_allocation"}

    def get(self, request, credit_note_id: str):
        """List what was applied of a credit note, newest first, and what was taken off again."""
        return self.reply_page(paginate(notes.allocations_of(credit_note_id, actor=request.actor), self.query()))

    @named_by_key
    def post(self, request, credit_note_id: str):
        """
        Apply credit to the note's invoice, so that less of it is owed.

        The Idempotency-Key is required, and is the allocation's identity within the note for good.
        """
        data = self.validated()
        made = credit_notes.allocate(
            credit_note_id,
            money=data["amount_money"],
            expected_version=data.get("expected_version"),
            actor=request.actor,
        )
        return self.reply_allocated(made)


class AllocationView(CreditNoteRoute):
    outputs = {"GET": CreditNoteAllocationOutput}
    codes = {"GET": [NOT_FOUND]}
    names = {"GET": "get_credit_note_allocation"}

    def get(self, request, credit_note_id: str, credit_note_allocation_id: str):
        """Get an allocation."""
        allocations = notes.allocations_of(credit_note_id, actor=request.actor)
        return self.reply(allocations.find(id=credit_note_allocation_id))


class AllocationReversal(AllocationRoute):
    inputs = {"POST": CreditNoteActionInput}
    outputs = {"POST": AllocatedOutput}
    codes = {
        "POST": [
            NOT_FOUND,
            *BALANCE,
            "CREDIT_NOTE_ALLOCATION_ALREADY_REVERSED",
            "INVOICE_NOT_CREDITABLE",
            "ORDER_CLOSED",
        ]
    }
    names = {"POST": "reverse_credit_note_allocation"}

    @idempotent
    def post(self, request, credit_note_id: str, credit_note_allocation_id: str):
        """Take credit off the invoice again: it is owed once more, and the note has it to use."""
        made = credit_notes.reverse_allocation(
            credit_note_id,
            credit_note_allocation_id,
            expected_version=self.validated().get("expected_version"),
            actor=request.actor,
        )
        return self.reply_allocated(made)


def as_file(content: bytes, *, name: str) -> HttpResponse:
    """Answer with a PDF. It never changes, but only who may see it may keep it."""
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{name}.pdf"'
    response["Cache-Control"] = "private, max-age=3600"
    return response
