"""Asking: invoices and when they are due, what was sent of them, the notes that correct them, and their numbers."""

from invoices.models.credit_notes import CreditNote, CreditNoteAllocation, CreditNoteLine
from invoices.models.deliveries import InvoiceDelivery
from invoices.models.fees import InvoiceLateFee
from invoices.models.invoices import Invoice
from invoices.models.logos import DocumentLogo
from invoices.models.numbers import NumberSeries
from invoices.models.schedules import InvoiceScheduleEntry
from invoices.models.terms import InvoicePaymentTerm

__all__ = [
    "CreditNote",
    "CreditNoteAllocation",
    "CreditNoteLine",
    "DocumentLogo",
    "Invoice",
    "InvoiceDelivery",
    "InvoiceLateFee",
    "InvoicePaymentTerm",
    "InvoiceScheduleEntry",
    "NumberSeries",
]
