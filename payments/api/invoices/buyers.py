"""The routes of a buyer who has an invoice's link: its secret opens that invoice, and nothing beside it."""

from flint.api.idempotency import idempotent
from flint.api.views import ApiView
from invoices import reading as invoices
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
        opened = open_checkout(invoice_id=invoice_id, data=self.validated(), actor=request.actor)
        in_session = buyer_of(opened.session, at=opened.session.updated_at)
        session = reading.read_session(opened.session.id, actor=in_session, url=True)
        invoice = invoices.read_invoice(invoice_id, actor=request.actor)
        return self.reply(BuyerInvoiceCheckoutOutput(checkout_result(opened, invoice, session)))
