"""Applying and removing manual discounts."""

from collections.abc import Mapping, Sequence
from typing import Any

from flint.actors import Actor
from flint.errors import Conflict, NotFound
from orders.models import Order
from orders.services import parts
from orders.services.editing import editing
from orders.services.pricing import NoDiscountableBalance, reprice


class DiscountNotFound(NotFound):
    code = "DISCOUNT_NOT_FOUND"
    message = "No such discount on this order."


class DiscountNotRemovable(Conflict):
    code = "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED"
    message = "A redeemed or canceled discount is history and stays."


def apply_discount(*, order_id: str, manual: Mapping[str, Any], actor: Actor) -> Order:
    """
    Lower what is not yet paid by a fixed amount, as far as there is something to lower.

    :raises NoDiscountableBalance: if nothing is left that it could lower.
    """
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
    """
    with editing(order_id, actor=actor) as edit:
        on_order = {discount.id: discount for discount in edit.parts.discounts}
        for param, discount_id in parts.paths("order_discount_ids", discount_ids):
            discount = on_order.pop(discount_id, None)
            if discount is None:
                raise DiscountNotFound(param=param)
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
