"""Changing an order's notes, references, customer, tip and taxes."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Conflict, Forbidden
from flint.events import services as events
from orders import collecting
from orders.models import Customer, Order
from orders.services import parts
from orders.services.editing import editing, refuse_closed, refuse_stale

WORDS = ("buyer_note", "internal_note", "external_reference_id")
PRICED = frozenset({"requested_tip", "tax"})
OF_THE_BUYER = frozenset({"buyer_note", "requested_tip", "order_revision"})


class OrderCustomerNotUpdatable(Conflict):
    code = "ORDER_CUSTOMER_NOT_UPDATABLE_AFTER_PAYMENT"
    message = "The order is paid by its customer; another one cannot take it over."


class OrderCustomerNotClearable(Conflict):
    code = "ORDER_CUSTOMER_NOT_CLEARABLE"
    message = "An order keeps the customer it has; name another one instead."


class OrderTaxNotUpdatable(Conflict):
    code = "ORDER_TAX_NOT_UPDATABLE_AFTER_PAYMENT"
    message = "The order's taxes were paid and stay as they are."


class OrderTipNotUpdatable(Conflict):
    code = "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED"
    message = "The tip was settled with the payment and stays as it is."


class CheckoutOrderUpdateFieldNotAllowed(Forbidden):
    code = "CHECKOUT_ORDER_UPDATE_FIELD_NOT_ALLOWED"
    message = "A buyer changes the tip and the note of an order, and nothing else."


class CheckoutTippingDisabled(Forbidden):
    code = "CHECKOUT_TIPPING_DISABLED"
    message = "This checkout asks for no tip."


class CheckoutTipNotAllowed(Forbidden):
    code = "CHECKOUT_TIP_NOT_ALLOWED"
    message = "This checkout takes one of the tips that it offers, or none."


def update_order(*, order_id: str, data: Mapping[str, Any], actor: Actor) -> Order:
    """
    Change what ``data`` names and nothing else. Words and references stay open on a closed order, the rest does not.

    :raises OrderChangedRefreshRequired: if ``order_revision`` is given and stale.
    :raises OrderClosed, OrderPaymentAttemptActive: if amounts and customer may not change now.
    :raises CustomerNotFound, OrderCustomerNotClearable, OrderCustomerNotUpdatable: about the customer; and
        ``ORDER_CUSTOMER_CHECKOUT_ACTIVE`` while a checkout is open.
    :raises OrderTaxNotUpdatable, OrderTipNotUpdatable: if money has settled.
    :raises CheckoutOrderUpdateFieldNotAllowed, CheckoutTippingDisabled, CheckoutTipNotAllowed: for a buyer.
    """
    if actor.is_buyer:
        _refuse_to_buyer(data, actor)
    if PRICED & set(data):
        with editing(order_id, actor=actor, revision=data.get("order_revision")) as edit:
            _change_words(edit.order, data, actor)
            if "requested_tip" in data:
                _change_tip(edit, data["requested_tip"])
            if "tax" in data:
                if edit.order.has_settled:
                    raise OrderTaxNotUpdatable(param="tax")
                parts.set_order_tax(edit, data["tax"])
                edit.tell("order.tax_updated")
            if set(data) - PRICED - {"order_revision"}:
                edit.tell("order.updated", changed=_changed(data))
        return edit.order
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        collecting.refuse_former_buyer(order, actor)
        refuse_stale(order, data.get("order_revision"))
        _change_words(order, data, actor)
        order.order_revision += 1
        events.record(order, "order.updated", subject=order, actor=actor, changed=_changed(data))
        order.save()
    return order


def _refuse_to_buyer(data: Mapping[str, Any], actor: Actor) -> None:
    for name in data:
        if name not in OF_THE_BUYER:
            raise CheckoutOrderUpdateFieldNotAllowed(param=name)
    if "requested_tip" not in data:
        return
    tip = data["requested_tip"]
    if "tip" not in actor.rights:
        raise CheckoutTippingDisabled(param="requested_tip")
    if tip and "own_tip" not in actor.rights and f"tip_of:{tip.get('percent')}" not in actor.rights:
        raise CheckoutTipNotAllowed(param="requested_tip")


def _changed(data: Mapping[str, Any]) -> list[str]:
    return sorted(set(data) - PRICED - {"order_revision"})


def _change_words(order: Order, data: Mapping[str, Any], actor: Actor) -> None:
    for column in WORDS:
        if column in data:
            setattr(order, column, data[column] or "")
    if "metadata" in data:
        order.metadata = merge(order.metadata, data["metadata"])
    if "customer_id" in data and data["customer_id"] != order.customer_id:
        if data["customer_id"] is None:
            raise OrderCustomerNotClearable(param="customer_id")
        if order.has_settled:
            raise OrderCustomerNotUpdatable(param="customer_id")
        # Whose order it is decides whose saved payment methods may pay it.
        refuse_closed(order)
        collecting.refuse_while_collecting(order)
        collecting.refuse_customer_change(order)
        collecting.refuse_under_invoice(order)
        order.customer = Customer.objects.of(actor).find(id=data["customer_id"])
        collecting.tell_handed(order)


def _change_tip(edit, tip: Mapping[str, Any] | None) -> None:
    # Every payment carries its share of the tip; a tip that comes later would be carried by none.
    if edit.order.has_settled:
        raise OrderTipNotUpdatable(param="requested_tip")
    had = edit.order.tip_id
    parts.set_tip(edit.order, tip)
    if tip:
        type = "order.requested_tip_updated" if had else "order.requested_tip_added"
        edit.tell(type, order_tip_id=edit.order.tip_id)
    elif had:
        edit.tell("order.requested_tip_removed", order_tip_id=had)
    else:
        edit.tell("order.updated", changed=["requested_tip"])
