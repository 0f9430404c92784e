"""What became of a payment of an invoice, told in the invoice's own words."""

from flint.actors import Actor
from flint.events import services as events
from orders.models import Order
from payments.models import PaymentAttempt, PaymentIntent
from payments.models.attempts import A

ENDS = {
    A.FAILED: "invoice.payment_failed",
    A.CANCELED: "invoice.payment_attempt_canceled",
    A.EXPIRED: "invoice.payment_attempt_expired",
}
"""Ends without money. Money that came in is told where the invoice follows its order."""


def tell_of_attempt(order: Order, attempt: PaymentAttempt | None, *, before: str, actor: Actor) -> None:
    """Record how a payment of a locked order's invoice has just ended. The caller saves the order."""
    if attempt is None or attempt.invoice_id is None or attempt.status == before or attempt.status not in ENDS:
        return
    events.record(
        order,
        ENDS[attempt.status],
        subject=attempt.invoice,
        actor=actor,
        amount=attempt.expected_outstanding_amount,
        invoice_payment_attempt_id=attempt.id,
        code=attempt.failure_code,
    )


def tell_of_waiting(order: Order, attempt: PaymentAttempt | None, leg: PaymentIntent, *, actor: Actor) -> None:
    """Record that a bank has begun to work on a payment of a locked order's invoice, which takes days."""
    if attempt is None or attempt.invoice_id is None or leg.source_type == "card":
        return
    events.record(
        order,
        "invoice.payment_processing",
        subject=attempt.invoice,
        actor=actor,
        amount=leg.amount,
        invoice_payment_attempt_id=attempt.id,
        payment_rail=leg.source_type,
    )
