"""Promising money back."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.celery import after_commit
from flint.errors import InvalidInput
from flint.events import services as events
from orders import ledger
from orders.models import Order
from payments.models import PaymentIntent
from refunds import tasks
from refunds.models import Refund
from refunds.selectors import readable
from refunds.services.booking import reserve
from refunds.services.composing import SURPLUS, TIP, Composer


class OrderRequiredForLineItemRefund(InvalidInput):
    code = "ORDER_REQUIRED_FOR_LINE_ITEM_REFUND"
    message = "This payment was made without an order, so it has no line items to refund. Send an amount."


class OrderRequiredForChargeRefund(InvalidInput):
    code = "ORDER_REQUIRED_FOR_CHARGE_REFUND"
    message = "This payment was made without an order, so it has no charges to refund. Send an amount."


def create_refund(*, data: Mapping[str, Any], actor: Actor) -> Refund:
    """
    Promise money back on an order; the processor is asked after commit.

    ``data`` is a validated request: an order or one of its payments, and an amount, targets, or neither for all that is
    left. The money is reserved from now on and counts as refunded once the processor says so. What is returned carries
    its legs and allocations as ``refunds.selectors`` reads them.

    A command that a staff member sends again returns the refund that it made; the API keeps its own record of commands.

    :raises OrderNotFound, PaymentIntentNotFound: if what it names is absent or foreign.
    :raises OrderRequiredForLineItemRefund, OrderRequiredForChargeRefund: for targets on a standalone payment.
    :raises AmountExceedsRefundable, NothingToRefund: and the other refusals of ``composing``.
    """
    with transaction.atomic():
        order_id = data.get("order_id")
        payment_intent_id = data.get("payment_intent_id")
        orders = Order.objects.of(actor)
        if order_id is None:
            order_id = PaymentIntent.objects.of(actor).find(id=payment_intent_id).order_id
            orders = Order.objects.behind(actor)
        order = orders.select_related("environment").lock(id=order_id)
        if order.is_hidden:
            _refuse_targets(data)
        if payment_intent_id is not None:
            PaymentIntent.objects.of(actor).find(id=payment_intent_id, order_id=order.id)
        if made := _made_before(order, actor):
            return made
        composition = Composer(order, payment_intent_id=payment_intent_id).compose(data)
        refund = Refund(
            environment=order.environment,
            order=order,
            amount=composition.amount,
            currency=order.currency,
            tip_amount=composition.of(TIP),
            surplus_amount=composition.of(SURPLUS),
            balance_effect=data.get("balance_effect", "credit"),
            reason=data.get("reason", ""),
            reason_message=data.get("reason_message", ""),
            external_reference_id=data.get("external_reference_id", ""),
            metadata=data.get("metadata", {}),
            command_key=actor.command.key if actor.command else "",
        )
        refund.save(force_insert=True)
        now = timezone.now()
        for leg in composition.legs:
            leg.refund = refund
            leg.next_check_at = now
            leg.shown_allocations = [row for row in composition.allocations if row.leg is leg]
        refund.shown_legs = composition.legs
        reserve(order, composition)
        order.order_revision += 1
        event = events.record(
            order, "refund.created", subject=refund, actor=actor, amount=refund.amount, reason=refund.reason
        )
        ledger.post(order, event, [ledger.Posting("refund_promised", leg.amount, leg.id) for leg in composition.legs])
        order.save()
        for leg in composition.legs:
            after_commit(tasks.send_refund, refund_leg_id=leg.id, environment_id=order.environment_id)
    return refund


def _refuse_targets(data: Mapping[str, Any]) -> None:
    if data.get("line_items"):
        raise OrderRequiredForLineItemRefund(param="line_items")
    if data.get("charges"):
        raise OrderRequiredForChargeRefund(param="charges")


def _made_before(order: Order, actor: Actor) -> Refund | None:
    if actor.kind != "staff" or actor.command is None:
        return None
    return readable(actor).filter(order_id=order.id, command_key=actor.command.key).order_by("id").first()
