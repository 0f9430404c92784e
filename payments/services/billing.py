"""What keeps an order from being billed by an invoice: that it is being collected another way already."""

from django.utils import timezone

from flint.errors import Conflict
from orders import collecting
from orders.models import Order
from payments.models.intents import NOT_FINAL
from payments.services.sessions.ending import OrderHasOpenCheckout, end_if_due, open_session_of


class OrderHasActivePaymentIntent(Conflict):
    code = "ORDER_HAS_ACTIVE_PAYMENT_INTENT"
    message = "Payment intents of the order are not final yet. Wait for them, capture them or cancel them first."


@collecting.holds_billing
def refuse_to_bill(order: Order) -> None:
    """
    Refuse that a locked order is billed past its open checkout or past a payment intent that may still collect.

    :raises OrderHasOpenCheckout: with the session's id. :raises OrderHasActivePaymentIntent: with the intents' ids.
    """
    session = open_session_of(order)
    if session is not None and not end_if_due(order, session, at=timezone.now()):
        raise OrderHasOpenCheckout(existing_checkout_session_id=session.id)
    alive = order.payment_intents.filter(status__in=NOT_FINAL).order_by("created_at", "id")
    if ids := list(alive.values_list("id", flat=True)[:25]):
        raise OrderHasActivePaymentIntent(payment_intent_ids=ids)
