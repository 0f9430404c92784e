"""The verbs of credit notes: draft, issue, apply to the invoice and take off again, void."""

from invoices.services.credit_notes.allocating import Allocated, allocate, reverse_allocation
from invoices.services.credit_notes.drafting import create_credit_note, update_credit_note
from invoices.services.credit_notes.issuing import issue_credit_note
from invoices.services.credit_notes.voiding import void_credit_note

__all__ = [
    "Allocated",
    "allocate",
    "create_credit_note",
    "issue_credit_note",
    "reverse_allocation",
    "update_credit_note",
    "void_credit_note",
]
