"""What an invoice has against being changed, or paid another way, while a payment of it is under way."""

from flint.errors import Conflict
from invoices.models import Invoice
from invoices.models.invoices import CollectionMode
from invoices.services.locking import refuse_draft
from orders import collecting
from orders.models import Order


class InvoiceNotCollectible(Conflict):
    code = "INVOICE_NOT_COLLECTIBLE"
    message = "The invoice asks for no money now."


class InvoicePaymentResolving(Conflict):
    code = "INVOICE_PAYMENT_RESOLVING"
    message = "A payment of this invoice is under way. Wait for its outcome, or cancel it first."
    retryable = True


class InvoicePaymentProcessing(Conflict):
    code = "INVOICE_PAYMENT_PROCESSING"
    message = "A bank is processing a payment of this invoice. That takes days; wait for its outcome."


def refuse_while_paying(order: Order) -> None:
    """
    Refuse to go past a payment of a locked order's invoice that is under way.

    :raises InvoicePaymentProcessing: if a bank takes its time over it. :raises InvoicePaymentResolving: otherwise.
    """
    try:
        collecting.refuse_while_collecting(order)
    except collecting.OrderPaymentAttemptActive as active:
        raise refusal_for(active) from None


def refusal_for(active: collecting.OrderPaymentAttemptActive) -> Conflict:
    """Return how it is said of an invoice that a payment is under way."""
    facts = dict(active.facts)
    facts["invoice_payment_attempt_id"] = facts["order_payment_attempt_id"]
    is_slow = facts.get("payment_attempt_status") == "processing" and not facts.get("is_resumable")
    return (InvoicePaymentProcessing if is_slow else InvoicePaymentResolving)(**facts)


def refuse_uncollectible(invoice: Invoice) -> None:
    """
    Refuse to collect an invoice of a locked order that asks for nothing, or is collected outside.

    :raises InvoiceNotIssued: if it is a draft. :raises InvoiceNotCollectible: otherwise.
    """
    refuse_draft(invoice)
    if not invoice.is_asking or invoice.collection_mode == CollectionMode.EXTERNAL:
        raise InvoiceNotCollectible(current_status=str(invoice.status))
