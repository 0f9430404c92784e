"""
Documents on paper and as files: rendered from what was frozen at issue, so that the same document is the same bytes.

``sources`` reads what a snapshot bills, ``wording`` puts a snapshot into words, ``rendering`` into pages, ``factur_x``
into what accounting programs read.
"""

from invoices.documents.pdf import InvoicePdfUnavailable, pdf_of, pdf_of_credit_note

__all__ = ["InvoicePdfUnavailable", "pdf_of", "pdf_of_credit_note"]
