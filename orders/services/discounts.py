"""Applying and removing manual discounts."""

from collections.abc import Mapping, Sequence
from typing import Any

from flint.actors import Actor
from flint.errors import Conflict, Forbidden, NotFound
from orders.models import Discount, Order
from orders.services import parts
from orders.services.editing import editing
from orders.services.pricing import NoDiscountableBalance, reprice


class DiscountNotFound(NotFound):
    code = "DISCOUNT_NOT_FOUND"
    message = "No such discount on this order."


class DiscountNotRemovable(Conflict):
    code = "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED"
    message = "A redeemed or canceled discount is history and stays."


class CheckoutManualDiscountNotAllowed(Forbidden):
    code = "CHECKOUT_MANUAL_DISCOUNT_NOT_ALLOWED"
    message = "A buyer enters promotion codes; discounts are given by the merchant."


class CheckoutDiscountNotRemovable(Forbidden):
    code = "CHECKOUT_DISCOUNT_NOT_REMOVABLE"
    message = "A buyer takes off the promotion codes that it entered, and nothing else."


def apply_discount(*, order_id: str, manual: Mapping[str, Any], actor: Actor) -> Order:
    """
    Lower what is not yet paid by a fixed amount, as far as there is something to lower.

    :raises NoDiscountableBalance: if nothing is left that it could lower.
    :raises CheckoutManualDiscountNotAllowed: for a buyer.
    """
    if actor.is_buyer:
        raise CheckoutManualDiscountNotAllowed(param="manual")
    with editing(order_id, actor=actor) as edit:
        discount = parts.add_discount(edit, manual, param="manual")
        reprice(edit.order, edit.parts)
        if not discount.applied_amount:
            raise NoDiscountableBalance(param="manual")
        edit.tell("order.discount_applied", discount, name=discount.name, applied_amount=discount.applied_amount)
    return edit.order


def remove_discounts(*, order_id: str, discount_ids: Sequence[str], actor: Actor) -> Order:
    """
    Take pending discounts off the order, all of them or none.

    :raises DiscountNotFound: if one is not on this order. :raises DiscountNotRemovable: if one is no longer pending.
    :raises CheckoutDiscountNotRemovable: for a buyer, since discounts are the merchant's.
    """
    with editing(order_id, actor=actor) as edit:
        on_order = {discount.id: discount for discount in edit.parts.discounts}
        for param, discount_id in parts.paths("order_discount_ids", discount_ids):
            discount = on_order.pop(discount_id, None)
            if discount is None:
                raise DiscountNotFound(param=param)
            if actor.is_buyer:
                raise CheckoutDiscountNotRemovable(param=param)
            if discount.status != "pending":
                raise DiscountNotRemovable(param=param, current_status=discount.status)
            edit.remove(discount)
            edit.tell("order.discount_removed", discount, name=discount.name)
    return edit.order


def reprice_discounts(*, order_id: str, actor: Actor) -> Order:
    """Work the pending discounts out anew. They follow every edit by themselves, so this only confirms them."""
    with editing(order_id, actor=actor) as edit:
        edit.tell("order.updated", changed=["discounts"])
    return edit.order


def redeem_discounts(order: Order) -> None:
    """Make the pending discounts of a locked order history: it was settled with them."""
    for discount in Discount.objects.filter(order_id=order.id, status="pending"):
        discount.redeem()
        discount.save(update_fields=["status", "updated_at"])
