"""The PDF of an invoice and of a credit note, from nothing but what was frozen when it was issued."""

from collections.abc import Mapping
from typing import Any

from flint.errors import Conflict
from invoices.documents import factur_x, rendering
from invoices.documents.logos import logo_of
from invoices.documents.wording import Words, credit_note_words, invoice_words
from invoices.models import CreditNote, Invoice


class InvoicePdfUnavailable(Conflict):
    code = "INVOICE_PDF_UNAVAILABLE"
    message = "There is no document before it is issued."


def pdf_of(invoice: Invoice) -> bytes:
    """
    Return the document of an issued invoice. It is the same to the byte whenever it is asked for.

    The code on it is the link as it was at issue: whoever holds the paper can pay without another secret, and when the
    merchant replaces the link, because somebody got hold of it, the paper opens nothing any more either.

    :raises InvoicePdfUnavailable: for a draft, and for what was voided before it was issued.
    """
    words = words_of(invoice)
    data = factur_x.of_invoice(invoice.snapshot)
    return _pdf(words, invoice, data)


def pdf_of_credit_note(note: CreditNote) -> bytes:
    """
    Return the document of an issued credit note, as :func:`pdf_of`.

    :raises InvoicePdfUnavailable: for a draft.
    """
    words = words_of_credit_note(note)
    data = factur_x.of_credit_note(note.snapshot)
    return _pdf(words, note, data)


def words_of(invoice: Invoice) -> Words:
    """Return what the document of an invoice says. :raises InvoicePdfUnavailable: before it is issued."""
    if invoice.issued_at is None:
        raise InvoicePdfUnavailable(current_status=str(invoice.status))
    link = invoice.document_link.reveal() if invoice.document_link else ""
    return invoice_words(invoice.snapshot, link=link, logo=_logo(invoice.environment_id, invoice.snapshot))


def words_of_credit_note(note: CreditNote) -> Words:
    """Return what the document of a credit note says. :raises InvoicePdfUnavailable: before it is issued."""
    if note.issued_at is None:
        raise InvoicePdfUnavailable(current_status=str(note.status))
    return credit_note_words(note.snapshot, logo=_logo(note.environment_id, note.snapshot))


def _pdf(words: Words, row: Invoice | CreditNote, data: bytes | None) -> bytes:
    if data is None:
        return rendering.pdf(words, at=row.issued_at)
    made = rendering.pdf(words | {"attachment": factur_x.attachment(data)}, at=row.issued_at, is_kept_for_years=True)
    return factur_x.declared(made)


def _logo(environment_id: str, snapshot: Mapping[str, Any]) -> bytes | None:
    return logo_of(environment_id, snapshot["document"]["branding"].get("logo", ""))
