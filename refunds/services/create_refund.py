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
from payments.models.intents import PaymentIntentNotFound
from refunds import tasks
from refunds.models import Refund
from refunds.selectors import readable
from refunds.services.booking import reserve
from refunds.services.composing import SURPLUS, TIP, Composer, Composition
from refunds.services.composing.refusals import PaymentIntentNotPartOfOrder, RefundTenderNotFound


class OrderRequiredForLineItemRefund(InvalidInput):
    code = "ORDER_REQUIRED_FOR_LINE_ITEM_REFUND"
    message = "This payment was made without an order, so it has no line items to refund. Send an amount."


class OrderRequiredForChargeRefund(InvalidInput):
    code = "ORDER_REQUIRED_FOR_CHARGE_REFUND"
    message = "This payment was made without an order, so it has no charges to refund. Send an amount."


class OrderRequiredForTaxBreakdownRefund(InvalidInput):
    code = "ORDER_REQUIRED_FOR_TAX_BREAKDOWN_REFUND"
    message = "This payment was made without an order, so it has no taxes to refund. Send an amount."


class OrderRequiredForTenderRefund(InvalidInput):
    code = "ORDER_REQUIRED_FOR_TENDER_REFUND"
    message = "This payment was made without an order, so there is nothing to divide. Send an amount."


COLUMNS = ("balance_effect", "reason", "reason_message", "external_reference_id", "metadata")
TARGETS: dict[str, type[InvalidInput]] = {
    "line_items": OrderRequiredForLineItemRefund,
    "charges": OrderRequiredForChargeRefund,
    "tax_breakdown_refunds": OrderRequiredForTaxBreakdownRefund,
    "tender_allocations": OrderRequiredForTenderRefund,
}


def create_refund(*, data: Mapping[str, Any], actor: Actor) -> Refund:
    """
    Promise money back on an order; the processor is asked after commit.

    ``data`` is a validated request: an order or one of its payments, and an amount, targets, or neither for all that is
    left. The money is reserved from now on and counts as refunded once the processor says so. What is returned carries
    its legs and allocations as ``refunds.selectors`` reads them.

    A command that a staff member sends again returns the refund that it made; the API keeps its own record of commands.

    :raises OrderNotFound, PaymentIntentNotFound: if what it names is absent or foreign.
    :raises PaymentIntentNotPartOfOrder, RefundTenderNotFound: if a payment is one of another order, or of none.
    :raises OrderRequiredForLineItemRefund: and its siblings, for targets on a standalone payment.
    :raises AmountExceedsRefundable, NothingToRefund: and the other refusals of ``composing``.
    """
    with transaction.atomic():
        order = _locked(data, actor)
        if order.is_hidden:
            for name, refusal in TARGETS.items():
                if name in data:
                    raise refusal(param=name)
        _refuse_payments_of_others(order, data, actor)
        if made := _made_before(order, actor):
            return made
        composition = Composer(order, payment_intent_id=data.get("payment_intent_id")).compose(data)
        columns = {name: data[name] for name in COLUMNS if name in data}
        refund = Refund(command_key=actor.command.key if actor.command else "", **columns)
        promise(order, refund, composition, actor=actor)
    return refund


def promise(order: Order, refund: Refund, composition: Composition, *, actor: Actor, **facts: Any) -> None:
    """Save a refund that was composed on a locked order, reserve its money, and have it sent after the commit."""
    refund.environment, refund.order = order.environment, order
    refund.amount, refund.currency = composition.amount, order.currency
    refund.tip_amount, refund.surplus_amount = composition.of(TIP), composition.of(SURPLUS)
    refund.save(force_insert=True)
    now = timezone.now()
    for leg in composition.legs:
        leg.refund = refund
        leg.next_check_at = now
    reserve(order, composition)
    _show(refund, composition)
    order.order_revision += 1
    event = events.record(
        order, "refund.created", subject=refund, actor=actor, amount=refund.amount, reason=refund.reason, **facts
    )
    ledger.post(order, event, [ledger.Posting("refund_promised", leg.amount, leg.id) for leg in composition.legs])
    order.save()
    for leg in composition.legs:
        after_commit(tasks.send_refund, refund_leg_id=leg.id, environment_id=order.environment_id)


def _show(refund: Refund, composition: Composition) -> None:
    """Give a refund that was just promised what ``refunds.selectors`` reads, without reading it."""
    refund.shown_legs = composition.legs
    for leg in composition.legs:
        leg.shown_allocations = [row for row in composition.allocations if row.leg is leg]
        leg.shown_adjustments = [row for row in composition.adjustments if row.leg is leg]
        for adjustment in leg.shown_adjustments:
            adjustment.shown_payouts = []


def _locked(data: Mapping[str, Any], actor: Actor) -> Order:
    """Lock the order that a request is about; it may name only a payment, which may have no order to be seen."""
    orders = Order.objects.of(actor)
    order_id = data.get("order_id")
    if order_id is None:
        orders = Order.objects.behind(actor)
        payments = PaymentIntent.objects.of(actor)
        if "payment_intent_id" in data:
            order_id = payments.find(id=data["payment_intent_id"]).order_id
        else:
            tender = payments.filter(id=data["tender_allocations"][0]["payment_intent_id"]).order_by("id").first()
            if tender is None:
                raise RefundTenderNotFound(param="tender_allocations[0].payment_intent_id")
            order_id = tender.order_id
    return orders.select_related("environment").lock(id=order_id)


def _refuse_payments_of_others(order: Order, data: Mapping[str, Any], actor: Actor) -> None:
    named = [("payment_intent_id", data["payment_intent_id"])] if "payment_intent_id" in data else []
    for index, row in enumerate(data.get("tender_allocations", [])):
        named.append((f"tender_allocations[{index}].payment_intent_id", row["payment_intent_id"]))
    if not named:
        return
    found = PaymentIntent.objects.of(actor).filter(id__in=[intent_id for _, intent_id in named])
    orders = dict(found.values_list("id", "order_id"))
    for param, intent_id in named:
        if intent_id not in orders:
            raise (PaymentIntentNotFound if param == "payment_intent_id" else RefundTenderNotFound)(param=param)
        if orders[intent_id] != order.id:
            raise PaymentIntentNotPartOfOrder(param=param)


def _made_before(order: Order, actor: Actor) -> Refund | None:
    if actor.kind != "staff" or actor.command is None:
        return None
    return readable(actor).filter(order_id=order.id, command_key=actor.command.key).order_by("id").first()
