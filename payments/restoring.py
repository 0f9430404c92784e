"""What an order showed of its payments at a moment, from the versions of their rows."""

from orders.as_of import Rows, restores
from orders.models import Order
from payments.models import CheckoutSession, PaymentAttempt, PaymentIntent, PaymentOperation
from payments.selectors import authorization_amounts


@restores
def restore_payments(order: Order, rows: Rows) -> None:
    """
    Put on an order its payment intents, sessions and open attempt.

    How to collect what it owed is not among it, nor the step that a buyer had to take: both are for doing now.
    """
    legs = {leg.id: leg for leg in rows.of(PaymentIntent)}
    for leg in legs.values():
        leg.order = order
    order.shown_payment_intents = list(legs.values())
    order.payment_intent_ids = list(legs)
    order.checkout_session_ids = [session.id for session in rows.of(CheckoutSession)]
    order.active_payment_attempt = next(
        (attempt for attempt in rows.of(PaymentAttempt) if attempt.id == order.active_attempt_id), None
    )
    if attempt := order.active_payment_attempt:
        confirms = [each for each in rows.of(PaymentOperation) if each.kind == "confirm"]
        attempt.tries = [each for each in confirms if each.attempt_id == attempt.id]
        for operation in attempt.tries:
            operation.payment_intent = legs[operation.payment_intent_id]
    order.authorization_amounts = authorization_amounts(order)
    order.payment_collection = None
