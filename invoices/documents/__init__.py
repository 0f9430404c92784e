"""
Documents on paper and as files: rendered from what was frozen at issue, so that the same document is the same bytes.

``particulars`` is what a snapshot freezes for its document, ``composing`` puts it into words, ``rendering`` into pages,
``factur_x`` into what accounting programs read.
"""

from invoices.documents.particulars import particulars_of
from invoices.documents.pdf import InvoicePdfUnavailable, pdf_of, pdf_of_credit_note

__all__ = ["InvoicePdfUnavailable", "particulars_of", "pdf_of", "pdf_of_credit_note"]
