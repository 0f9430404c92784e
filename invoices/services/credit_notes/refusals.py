"""How credit notes say no."""

from flint.errors import Conflict, InvalidInput


class InvoiceNotCreditable(Conflict):
    code = "INVOICE_NOT_CREDITABLE"
    message = "Only an issued invoice that stands can be credited, as far as it was not credited already."


class InvalidCreditNote(InvalidInput):
    code = "INVALID_CREDIT_NOTE"
    message = "A credit note takes something back. Name at least one line of the invoice."


class InvalidCreditNoteLine(InvalidInput):
    code = "INVALID_CREDIT_NOTE_LINE"
    message = "This is no line that can be credited."


class CreditNoteNotDraft(Conflict):
    code = "CREDIT_NOTE_NOT_DRAFT"
    message = "The credit note was issued and stays as it is."


class CreditNoteNotIssued(Conflict):
    code = "CREDIT_NOTE_NOT_ISSUED"
    message = "Only an issued credit note can be used."


class CreditNoteChanged(Conflict):
    code = "CREDIT_NOTE_CHANGED"
    message = "The credit note has changed since you read it. Read it again and decide anew."


class CreditNoteAmountExceedsCreditable(InvalidInput):
    code = "CREDIT_NOTE_AMOUNT_EXCEEDS_CREDITABLE"
    message = "The invoice has less than that left to credit."


class CreditNoteCurrencyMismatch(InvalidInput):
    code = "CREDIT_NOTE_CURRENCY_MISMATCH"
    message = "A credit note is in the currency of its invoice."


class CreditNoteAllocationExceedsBalance(Conflict):
    code = "CREDIT_NOTE_ALLOCATION_EXCEEDS_BALANCE"
    message = "The credit note has less credit left than that, or the invoice owes less."


class CreditNoteAllocationAlreadyReversed(Conflict):
    code = "CREDIT_NOTE_ALLOCATION_ALREADY_REVERSED"
    message = "This credit was taken off the invoice already."


class CreditNoteHasAllocations(Conflict):
    code = "CREDIT_NOTE_HAS_ALLOCATIONS"
    message = "The credit note is in use. Take its credit off the invoice first; what went back to the buyer stays so."
