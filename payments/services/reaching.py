"""How a verb reaches the order it is about: by the order's id, or through a payment that was made without one."""

from flint.actors import Actor
from flint.errors import Conflict
from orders.models import Order
from payments.models import PaymentIntent


class OrderPaymentFlowRequired(Conflict):
    code = "ORDER_PAYMENT_FLOW_REQUIRED"
    message = "The payment intent belongs to an order. Pay, capture and cancel it through the order."


def lock_order(order_id: str | None, payment_intent_id: str, *, actor: Actor) -> Order:
    """
    Lock an order by its id, or, without one, the hidden order of a standalone payment intent.

    :raises OrderNotFound, PaymentIntentNotFound: if it is absent or foreign.
    :raises OrderPaymentFlowRequired: if no order was named but the payment intent belongs to one.
    """
    if order_id is not None:
        return Order.objects.of(actor).lock(id=order_id)
    leg = PaymentIntent.objects.of(actor).select_related("order").find(id=payment_intent_id)
    if not leg.is_standalone:
        raise OrderPaymentFlowRequired(
            blocking_resources=[{"resource_type": "order", "resource_id": leg.order_id, "status": leg.order.status}],
            blocking_resource_count=1,
        )
    return Order.objects.behind(actor).lock(id=leg.order_id)
