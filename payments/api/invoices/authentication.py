"""From the secret of an invoice's link to its buyer."""

from dataclasses import replace

import structlog
from rest_framework.authentication import BaseAuthentication

from flint.actors import Actor
from flint.api.authentication import AmbiguousAuth, secret_of
from flint.errors import Unauthenticated
from invoices.links import BuyerInvoiceCredentialInvalid, BuyerInvoiceCredentialRequired, open_by_secret
from invoices.models import Invoice


def buyer_of(invoice: Invoice) -> Actor:
    """Return whoever has an invoice's link, as an actor: a buyer who sees that one invoice, its order and no more."""
    return Actor(
        kind="customer",
        environment_id=invoice.environment_id,
        id=invoice.id,
        label="Buyer",
        order_id=invoice.order_id,
    )


class InvoiceAuthentication(BaseAuthentication):
    """The secret of the link of the invoice that the path names, as ``Authorization: Bearer``."""

    def authenticate(self, request) -> tuple[Actor, None]:
        """:raises BuyerInvoiceCredentialRequired, BuyerInvoiceCredentialInvalid, InvoiceLinkUnavailable: if not."""
        if "X-API-Key" in request.headers or "X-Checkout-Session-Secret" in request.headers:
            raise AmbiguousAuth("A buyer reads an invoice with the secret of its link, and nothing beside it.")
        try:
            secret = secret_of(request)
        except Unauthenticated as problem:
            raise (BuyerInvoiceCredentialRequired if "Authorization" not in request.headers else problem) from None
        invoice_id = request.parser_context["kwargs"].get("invoice_id", "")
        if not invoice_id:
            raise BuyerInvoiceCredentialInvalid
        invoice = open_by_secret(invoice_id, secret)
        http = request._request
        http.api_key, http.environment = None, invoice.environment
        http.invoice_link_generation = invoice.link_generation
        http.actor = replace(buyer_of(invoice), request_id=request.request_id)
        structlog.contextvars.bind_contextvars(
            environment_id=invoice.environment_id, actor_kind="customer", actor_id=invoice.id
        )
        return http.actor, None
