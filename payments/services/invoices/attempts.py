"""Payments of an invoice: the attempts on its order that were for it."""

from django.db.models import QuerySet

from flint.actors import Actor
from invoices.models import Invoice
from payments.models import PaymentAttempt
from payments.models.attempts import A
from payments.selectors import attempts_with_tries
from payments.services.closing import cancel_attempt

STATUSES = ("open", "processing", "settled", "failed", "canceled", "expired")
RAILS = ("card", "ach_debit", "manual")

ENDED = {
    A.SUCCEEDED: "settled",
    A.PARTIALLY_SUCCEEDED: "settled",
    A.FAILED: "failed",
    A.CANCELED: "canceled",
    A.EXPIRED: "expired",
}

FAILURES = (
    "card_declined",
    "insufficient_funds",
    "expired_card",
    "incorrect_cvc",
    "authentication_required",
    "payment_blocked",
    "processing_error",
    "payment_method_declined",
    "payment_method_unavailable",
    "payment_method_temporarily_unavailable",
    "payment_not_completed",
    "payment_action_expired",
    "bank_account_closed",
    "bank_account_not_found",
    "bank_account_restricted",
    "bank_debit_not_authorized",
    "bank_debit_limit_exceeded",
    "payment_failed",
)
"""How the contract calls what went wrong with a payment of an invoice."""

CALLED = {
    "payment_attempt_canceled": "payment_not_completed",
    "payment_authorization_canceled": "payment_not_completed",
    "payment_authorization_expired": "payment_action_expired",
    "invalid_payment_source": "payment_method_declined",
}
"""The contract's names for those of ours that it has none for."""


def invoice_attempts(invoice_id: str, *, actor: Actor) -> QuerySet[PaymentAttempt]:
    """
    Return the payments of an invoice, to be shown.

    :raises InvoiceNotFound: if the invoice is absent or foreign.
    """
    invoice = Invoice.objects.of(actor).find(id=invoice_id)
    rows = PaymentAttempt.objects.of(actor).filter(invoice_id=invoice.id).select_related("checkout_session")
    return attempts_with_tries(rows).prefetch_related("operations")


def cancel_invoice_attempt(*, invoice_id: str, attempt_id: str, actor: Actor) -> None:
    """
    End a payment of an invoice that is under way, at the processor first.

    :raises InvoiceNotFound, PaymentAttemptNotFound: if it is absent or foreign.
    :raises PaymentAttemptNotCancelable, PaymentAttemptStillProcessing: if it has ended, or cannot be stopped.
    """
    attempt = invoice_attempts(invoice_id, actor=actor).find(id=attempt_id)
    cancel_attempt(order_id=attempt.order_id, attempt_id=attempt.id, data={}, actor=actor)


def rail_of(attempt: PaymentAttempt) -> str:
    """Return by which way the money comes."""
    return "ach_debit" if any(each.payment_intent.source_type == "ach_debit" for each in attempt.tries) else "card"


def status_of(attempt: PaymentAttempt) -> str:
    """Return how the contract calls where a payment of an invoice stands; a slow bank is told from a quick one."""
    if attempt.status in ENDED:
        return ENDED[attempt.status]
    is_slow = attempt.status == A.PROCESSING and any(each.result == "processing" for each in attempt.tries)
    return "processing" if is_slow else "open"


def failure_code_of(attempt: PaymentAttempt) -> str:
    """Return what went wrong, in the contract's words; empty where nothing did."""
    code = CALLED.get(attempt.failure_code, attempt.failure_code)
    return code if not code or code in FAILURES else "payment_failed"
