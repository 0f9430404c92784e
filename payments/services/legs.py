"""Making a leg by hand: one fixed part of what an order owes, to be confirmed when its payer is there."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from orders import collecting
from orders.models import Order
from orders.services.editing import OrderClosed
from orders.services.parts import amount_in
from orders.services.update_order import CheckoutOrderUpdateFieldNotAllowed
from payments.models import CheckoutSession, PaymentIntent
from payments.services.invoices.parts import part_of_session
from payments.services.options import PaymentOptionNotAllowed, refuse_option
from payments.services.sessions.ending import refuse_beside_checkout
from payments.services.starting import OrderAlreadyPaid, processor_name

MOST_LEGS = 100
OF_THE_MERCHANT = ("external_reference_id", "metadata")


class AmountExceedsBalance(InvalidInput):
    code = "AMOUNT_EXCEEDS_BALANCE"
    message = "A payment intent cannot ask for more than the order owes."


class PaymentIntentLimitReached(Conflict):
    code = "PAYMENT_INTENT_LIMIT_REACHED"
    message = f"An order has at most {MOST_LEGS} payment intents in its life."


def _options(data: Mapping[str, Any], session: CheckoutSession | None) -> list[str]:
    """:raises PaymentOptionNotAllowed: for one that the merchant did not choose for the checkout."""
    chosen = session.payment_options if session else []
    wanted = data.get("payment_options", chosen or ["card"])
    for option in wanted:
        refuse_option(option, chosen or wanted, "payment_options")
    return wanted


def _refuse_to_buyer(data: Mapping[str, Any]) -> None:
    for name in OF_THE_MERCHANT:
        if name in data:
            raise CheckoutOrderUpdateFieldNotAllowed("The merchant alone says this of a payment.", param=name)


def create_leg(*, order_id: str, data: Mapping[str, Any], actor: Actor) -> PaymentIntent:
    """
    Create a payment intent on an order, for a part or all of what is outstanding. Its amount never changes.

    :raises OrderNotFound, OrderClosed, OrderPaymentAttemptActive, OrderNotPayable, OrderAlreadyPaid: by the order's
        state.
    :raises AmountExceedsBalance, CurrencyMismatch: by the amount. :raises PaymentIntentLimitReached: after 100.
    :raises ProcessorNotConfigured: if nobody could collect it.
    :raises CheckoutOrderUpdateFieldNotAllowed: if a buyer says what is only the merchant's to say.
    :raises PaymentOptionNotAllowed: by the buyer's session, and if an invoice's money is only to be held.
    """
    if actor.is_buyer:
        _refuse_to_buyer(data)
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        collecting.refuse_former_buyer(order, actor)
        if order.status != "open":
            raise OrderClosed("The order is closed; nothing more can be collected on it.", current_status=order.status)
        collecting.refuse_while_collecting(order)
        collecting.refuse_blocked(order)
        session = refuse_beside_checkout(order, actor)
        collecting.refuse_beside_invoice(order, invoice_id=session.invoice_id if session else None)
        if not order.outstanding_amount:
            raise OrderAlreadyPaid
        part = part_of_session(session, order, at=timezone.now()) if session else None
        most = part.amount if part else order.outstanding_amount
        if part and part.invoice and data.get("capture_method") == "manual":
            raise PaymentOptionNotAllowed(
                "An invoice is paid at once: what is held and taken later does not settle it.",
                param="capture_method",
                reason="manual_capture_not_supported",
            )
        if order.payment_intents.count() >= MOST_LEGS:
            raise PaymentIntentLimitReached(limit=MOST_LEGS)
        amount = most
        if "amount_money" in data:
            amount = amount_in(order, data["amount_money"], "amount_money")
        if amount > most:
            raise AmountExceedsBalance(param="amount_money", maximum_money=order.money(most))
        leg = PaymentIntent(
            environment_id=order.environment_id,
            order=order,
            checkout_session=session,
            invoice=part.invoice if part else None,
            is_staged=True,
            amount=amount,
            currency=order.currency,
            tip_amount=(order.tip_amount - order.settled_tip_amount) * amount // order.outstanding_amount,
            capture_method=data.get("capture_method", "automatic"),
            payment_options=_options(data, session),
            payment_return_url=data.get("payment_return_url", session.return_url if session else ""),
            external_reference_id=data.get("external_reference_id", ""),
            metadata=data.get("metadata", {}),
            processor=processor_name(actor),
        )
        leg.save(force_insert=True)
        events.record(order, "payment_intent.created", subject=leg, actor=actor, amount=amount)
        order.order_revision += 1
        order.save(update_fields=["event_count", "order_revision", "updated_at"])
    return leg
