"""The routes of a buyer who has an invoice's link: its secret opens that invoice, and nothing beside it."""

from flint.api.idempotency import idempotent
from flint.api.paging import Page, paginate
from flint.api.queries import ListQuery
from flint.api.views import ApiView
from invoices import notes
from invoices import reading as invoices
from invoices.api.credit_notes.outputs import CreditNoteOutput
from invoices.api.credit_notes.views import as_file
from invoices.documents import pdf_of, pdf_of_credit_note
from invoices.models import Invoice
from payments.api.invoices.authentication import InvoiceAuthentication
from payments.api.invoices.inputs import InvoiceCheckoutInput
from payments.api.invoices.outputs import BuyerInvoiceCheckoutOutput, BuyerInvoiceOutput
from payments.api.invoices.views import CHECKOUT, checkout_result
from payments.api.sessions import reading
from payments.services.invoices.launching import open_checkout
from payments.services.sessions.credentials import buyer_of

REFUSED = ["BUYER_INVOICE_CREDENTIAL_REQUIRED", "BUYER_INVOICE_CREDENTIAL_INVALID", "INVOICE_LINK_UNAVAILABLE"]


class BuyerInvoiceRoute(ApiView):
    """A route of a buyer under its invoice."""

    tag = "Invoices"
    authentication_classes = [InvoiceAuthentication]
    security = ("InvoiceAccessToken",)
    buyers = ("GET", "POST")


class BuyerInvoiceView(BuyerInvoiceRoute):
    outputs = {"GET": BuyerInvoiceOutput}
    names = {"GET": "get_my_invoice"}
    codes = {"GET": [*REFUSED, "INVOICE_NOT_FOUND"]}

    def get(self, request, invoice_id: str):
        """Read an invoice as its buyer."""
        return self.reply(invoices.read_invoice(invoice_id, actor=request.actor))


class BuyerInvoicePdf(BuyerInvoiceRoute):
    file_type = "application/pdf"
    names = {"GET": "get_my_invoice_pdf"}
    codes = {"GET": [*REFUSED, "INVOICE_PDF_UNAVAILABLE"]}

    def get(self, request, invoice_id: str):
        """Get the document of an invoice as its buyer. It never changes."""
        invoice = Invoice.objects.of(request.actor).find(id=invoice_id)
        return as_file(pdf_of(invoice), name=invoice.number)


class BuyerCreditNoteRoute(BuyerInvoiceRoute):
    """A route of a buyer to the credit notes of its invoice: those that were issued."""

    tag = "Credit notes"


class BuyerCreditNoteCollection(BuyerCreditNoteRoute):
    queries = {"GET": ListQuery}
    outputs = {"GET": [CreditNoteOutput]}
    names = {"GET": "list_my_credit_notes"}
    codes = {"GET": REFUSED}

    def get(self, request, invoice_id: str):
        """List the credit notes of an invoice as its buyer, newest first."""
        page = paginate(notes.readable_notes(request.actor).filter(invoice_id=invoice_id), self.query())
        return self.reply_page(Page(notes.with_amounts(page.items), page.next_page_token))


class BuyerCreditNoteView(BuyerCreditNoteRoute):
    outputs = {"GET": CreditNoteOutput}
    names = {"GET": "get_my_credit_note"}
    codes = {"GET": REFUSED}

    def get(self, request, invoice_id: str, credit_note_id: str):
        """Read a credit note of an invoice as its buyer."""
        return self.reply(notes.read_note(credit_note_id, actor=request.actor, invoice_id=invoice_id))


class BuyerCreditNotePdf(BuyerCreditNoteRoute):
    file_type = "application/pdf"
    names = {"GET": "get_my_credit_note_pdf"}
    codes = {"GET": REFUSED}

    def get(self, request, invoice_id: str, credit_note_id: str):
        """Get the document of a credit note as the buyer of its invoice. It never changes."""
        note = notes.read_note(credit_note_id, actor=request.actor, invoice_id=invoice_id)
        return as_file(pdf_of_credit_note(note), name=note.number)


class BuyerInvoiceCheckout(BuyerInvoiceRoute):
    inputs = {"POST": InvoiceCheckoutInput}
    outputs = {"POST": BuyerInvoiceCheckoutOutput}
    names = {"POST": "open_my_invoice_checkout"}
    codes = {"POST": [*REFUSED, *CHECKOUT]}

    @idempotent
    def post(self, request, invoice_id: str):
        """
        Open the checkout of an invoice as its buyer, or get the one that is open.

        It asks for the part that is named, else for what is due, and else for what is due next.
        """
        opened = open_checkout(
            invoice_id=invoice_id,
            data=self.validated(),
            actor=request.actor,
            link_generation=request._request.invoice_link_generation,
        )
        in_session = buyer_of(opened.session, at=opened.session.updated_at)
        session = reading.read_session(opened.session.id, actor=in_session, url=True)
        invoice = invoices.read_invoice(invoice_id, actor=request.actor)
        return self.reply(BuyerInvoiceCheckoutOutput(checkout_result(opened, invoice, session)))
