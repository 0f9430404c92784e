"""Whose order it is, once somebody paid it who had not said who they are: the customer with their email address."""

from django.db.models.functions import Lower

from flint.actors import Actor
from flint.events import services as events
from orders.models import Customer, Order
from payments.models import PaymentAttempt


def link_payer(order: Order, attempt: PaymentAttempt | None, *, actor: Actor) -> None:
    """
    Give a locked order that a card has paid, and that is nobody's yet, to its payer: the customer that the checkout
    acted for, else the one with the email address that the payer gave. The caller saves.
    """
    if order.customer_id or order.is_hidden:
        return
    session = attempt.checkout_session if attempt else None
    if attempt is not None and attempt.customer_id:
        order.customer_id = attempt.customer_id
    elif session is not None and session.customer_id:
        order.customer_id = session.customer_id
    elif order.contact_email:
        customers = Customer.objects.filter(environment_id=order.environment_id).alias(address=Lower("email"))
        found = customers.filter(address=order.contact_email.lower()).order_by("id").values_list("id", flat=True)
        order.customer_id = found.first()
    if order.customer_id:
        events.record(order, "order.updated", subject=order, actor=actor, changed=["customer_id"])
