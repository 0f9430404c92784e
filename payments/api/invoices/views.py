"""The merchant's routes around paying an invoice."""

from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from invoices.api.views import VERSIONED, InvoiceRoute
from invoices.links import link_of
from payments.api.invoices.inputs import CollectInput, InvoiceAttemptQuery, InvoiceCheckoutInput, RegenerateLinkInput
from payments.api.invoices.outputs import (
    CollectedOutput,
    InvoiceCheckoutOutput,
    InvoicePaymentAttemptOutput,
    RegeneratedLinkOutput,
)
from payments.api.links.views import IdempotencyKeyRequired
from payments.api.sessions import reading
from payments.api.views import SOURCE
from payments.services.invoices.attempts import cancel_invoice_attempt, invoice_attempts
from payments.services.invoices.charging import collect_invoice
from payments.services.invoices.launching import Opened, open_checkout
from payments.services.invoices.linking import regenerate_link
from payments.services.sessions.credentials import buyer_of

IN_THE_WAY = ["INVOICE_PAYMENT_RESOLVING", "INVOICE_PAYMENT_PROCESSING", "ORDER_NOT_PAYABLE"]
STATE = [
    "INVOICE_NOT_FOUND",
    "INVOICE_NOT_ISSUED",
    "INVOICE_NOT_COLLECTIBLE",
    "INVOICE_SCHEDULE_ENTRY_NOT_COLLECTIBLE",
    "ORDER_CLOSED",
    *IN_THE_WAY,
    "PROCESSOR_NOT_CONFIGURED",
]
CHECKOUT = [*STATE, "CHECKOUT_SURFACE_CHANGE_NOT_ALLOWED", "INVALID_RETURN_URL", "ORDER_PAYMENT_LEG_CHECKOUT_ACTIVE"]


class InvoiceCheckout(InvoiceRoute):
    inputs = {"POST": InvoiceCheckoutInput}
    outputs = {"POST": InvoiceCheckoutOutput}
    names = {"POST": "open_invoice_checkout"}
    codes = {"POST": CHECKOUT}

    @idempotent
    def post(self, request, invoice_id: str):
        """
        Open the checkout of an invoice, or get the one that is open.

        It asks for the part that is named, else for what is due, and else for what is due next. The answer shows the
        buyer's secret this once; each call gives another one. The session ends when the invoice is paid another way,
        voided or written off, or its balance moves.
        """
        opened = open_checkout(invoice_id=invoice_id, data=self.validated(), actor=request.actor)
        session = reading.read_session(opened.session.id, actor=request.actor, url=True)
        return self.reply(InvoiceCheckoutOutput(checkout_result(opened, self.shown(invoice_id), session)))


def checkout_result(opened: Opened, invoice, session) -> dict:
    """Put together what :class:`InvoiceCheckoutOutput` shows."""
    found = invoice_attempts(invoice.id, actor=buyer_of(opened.session, at=opened.session.updated_at))
    return {
        "invoice": invoice,
        "checkout_session": session,
        "checkout_access": {"checkout_auth_token": opened.checkout_auth_token},
        "invoice_payment_attempt": found.order_by("-created_at", "-id").first(),
        "reused_existing": opened.is_reused,
    }


class InvoiceCollecting(InvoiceRoute):
    inputs = {"POST": CollectInput}
    outputs = {"POST": CollectedOutput}
    names = {"POST": "collect_invoice"}
    codes = {
        "POST": [
            *STATE,
            *SOURCE,
            "IDEMPOTENCY_KEY_REQUIRED",
            "INVOICE_PAYMENT_FAILED",
            "INVOICE_AUTOPAY_PAYMENT_METHOD_REQUIRED",
            "ORDER_PAYMENT_CUSTOMER_MISMATCH",
            "PAYMENT_PROCESSOR_UNAVAILABLE",
        ]
    }

    def initial(self, request, *args, **kwargs) -> None:
        super().initial(request, *args, **kwargs)
        if not request.idempotency_key_given:
            raise IdempotencyKeyRequired("Send an Idempotency-Key, so that a retry does not charge twice.")

    @idempotent(external=True)
    def post(self, request, invoice_id: str):
        """
        Charge a saved payment method for an invoice now.

        With the key of the call that got no answer, it is the same charge. A decline is a 402 that names the attempt.
        """
        attempt = collect_invoice(invoice_id=invoice_id, data=self.validated(), actor=request.actor)
        shown = invoice_attempts(invoice_id, actor=request.actor).find(id=attempt.id)
        collected = {
            "idempotency_key": request.idempotency_key,
            "invoice": self.shown(invoice_id),
            "invoice_payment_attempt": shown,
        }
        return self.reply(CollectedOutput(collected))


class InvoiceLinkRegeneration(InvoiceRoute):
    inputs = {"POST": RegenerateLinkInput}
    outputs = {"POST": RegeneratedLinkOutput}
    names = {"POST": "regenerate_invoice_link"}
    codes = {"POST": [*VERSIONED, "INVOICE_NOT_ISSUED"]}

    @idempotent
    def post(self, request, invoice_id: str):
        """
        Replace the buyer's link of an invoice.

        The old one opens nothing any more, nor does any checkout credential that came of it. Payments stay.
        """
        version = self.validated().get("expected_version")
        invoice = regenerate_link(invoice_id=invoice_id, expected_version=version, actor=request.actor)
        return self.reply(RegeneratedLinkOutput({"invoice": self.shown(invoice_id), "public_url": link_of(invoice)}))


class InvoiceAttemptCollection(InvoiceRoute):
    queries = {"GET": InvoiceAttemptQuery}
    outputs = {"GET": [InvoicePaymentAttemptOutput]}
    names = {"GET": "list_invoice_payment_attempts"}
    codes = {"GET": ["INVOICE_NOT_FOUND"]}

    def get(self, request, invoice_id: str):
        """List the payments of an invoice, newest first."""
        return self.reply_page(paginate(invoice_attempts(invoice_id, actor=request.actor), self.query()))


class InvoiceAttemptView(InvoiceRoute):
    outputs = {"GET": InvoicePaymentAttemptOutput}
    names = {"GET": "get_invoice_payment_attempt"}
    codes = {"GET": ["INVOICE_NOT_FOUND"]}

    def get(self, request, invoice_id: str, invoice_payment_attempt_id: str):
        """Read a payment of an invoice."""
        return self.reply(invoice_attempts(invoice_id, actor=request.actor).find(id=invoice_payment_attempt_id))


class InvoiceAttemptCancellation(InvoiceRoute):
    outputs = {"POST": InvoicePaymentAttemptOutput}
    names = {"POST": "cancel_invoice_payment_attempt"}
    codes = {
        "POST": [
            "INVOICE_NOT_FOUND",
            "PAYMENT_ATTEMPT_NOT_CANCELABLE",
            "PAYMENT_ATTEMPT_STILL_PROCESSING",
            "PAYMENT_OPERATION_IN_PROGRESS",
            "PAYMENT_PROCESSOR_UNAVAILABLE",
        ]
    }

    @idempotent(external=True)
    def post(self, request, invoice_id: str, invoice_payment_attempt_id: str):
        """Cancel a payment of an invoice that is under way, and its payment intent."""
        attempt_id = invoice_payment_attempt_id
        cancel_invoice_attempt(invoice_id=invoice_id, attempt_id=attempt_id, actor=request.actor)
        return self.reply(invoice_attempts(invoice_id, actor=request.actor).find(id=attempt_id))
