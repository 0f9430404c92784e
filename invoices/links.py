"""How a buyer reaches an invoice: whoever has its link may read and pay it, until the link is replaced."""

import hashlib
import hmac
import secrets

from django.conf import settings

from flint.errors import NotFound, Unauthenticated
from flint.sealing import Secret
from invoices.models import Invoice


class BuyerInvoiceCredentialRequired(Unauthenticated):
    code = "BUYER_INVOICE_CREDENTIAL_REQUIRED"
    message = "Send the secret of the invoice's link as 'Authorization: Bearer …'."


class BuyerInvoiceCredentialInvalid(Unauthenticated):
    code = "BUYER_INVOICE_CREDENTIAL_INVALID"
    message = "This secret opens no such invoice."


class InvoiceLinkUnavailable(NotFound):
    code = "INVOICE_LINK_UNAVAILABLE"
    message = "The invoice's link was replaced. Open it by the new one."


def new_link(invoice: Invoice) -> None:
    """Give a locked invoice a link, in place of the one it had, which opens nothing from then on. The caller saves."""
    if invoice.link_digest:
        invoice.link_retired_digests = [*invoice.link_retired_digests, invoice.link_digest]
    secret = secrets.token_urlsafe(32)
    invoice.link_secret = Secret.of(secret)
    invoice.link_digest = digest_of(secret)
    invoice.link_generation += 1


def link_of(invoice: Invoice) -> str:
    """Return the link of an issued invoice, with the secret that opens it; empty for a draft."""
    if not invoice.link_secret:
        return ""
    return f"{settings.BASE_URL}/invoices/{invoice.id}/{invoice.link_secret.reveal()}"


def open_by_secret(invoice_id: str, secret: str) -> Invoice:
    """
    Return the invoice that a link's secret opens, with its environment and order.

    :raises BuyerInvoiceCredentialInvalid: if it is another's, or nobody's.
    :raises InvoiceLinkUnavailable: if it was right once and has been replaced.
    """
    invoice = (
        Invoice.objects.select_related("environment__merchant", "order").filter(id=invoice_id).order_by("id").first()
    )
    digest = digest_of(secret)
    if invoice is None or not secret:
        raise BuyerInvoiceCredentialInvalid
    if invoice.link_digest and hmac.compare_digest(invoice.link_digest, digest):
        return invoice
    if any(hmac.compare_digest(retired, digest) for retired in invoice.link_retired_digests):
        raise InvoiceLinkUnavailable
    raise BuyerInvoiceCredentialInvalid


def digest_of(secret: str) -> str:
    """Return what a secret is known again by. It is random and long, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()
