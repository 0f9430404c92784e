"""The route of an invoice's document."""

from invoices.api.credit_notes.views import as_file
from invoices.api.views import InvoiceRoute
from invoices.documents import pdf_of
from invoices.models import Invoice


class InvoicePdf(InvoiceRoute):
    file_type = "application/pdf"
    codes = {"GET": ["INVOICE_NOT_FOUND", "INVOICE_PDF_UNAVAILABLE"]}
    names = {"GET": "get_invoice_pdf"}

    def get(self, request, invoice_id: str):
        """Get the document of an invoice, from its issue on. It never changes."""
        invoice = Invoice.objects.of(request.actor).find(id=invoice_id)
        return as_file(pdf_of(invoice), name=invoice.number)
