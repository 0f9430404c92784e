"""Beginning a sale."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from flint.actors import Actor
from flint.money import Money
from orders.models import Customer, Order
from orders.services import parts, pricing
from orders.services.editing import Edit
from orders.services.pricing import NoDiscountableBalance


def create_order(
    *, actor: Actor, data: Mapping[str, Any], origin: str = "api", is_hidden: bool = False
) -> tuple[Order, pricing.Parts]:
    """
    Create an open order with its lines, and return it with its parts.

    ``data`` is a validated request of the contract. The currency is that of the first line. ``is_hidden`` makes the
    record of a payment that a merchant takes without an order.

    :raises CustomerNotFound: if the customer is absent or foreign.
    :raises CurrencyMismatch: if amounts of several currencies were sent.
    :raises NoDiscountableBalance: if a discount finds nothing to lower.
    """
    first: Money = data["line_items"][0]["unit_price_money"]
    # A request's own transaction is the only one needed: a refusal undoes the whole of it.
    with transaction.atomic(savepoint=False):
        customer = Customer.objects.of(actor).find(id=data["customer_id"]) if "customer_id" in data else None
        order = Order(
            environment_id=actor.environment_id,
            currency=first.currency,
            origin=origin,
            is_hidden=is_hidden,
            customer=customer,
            order_revision=0,
            buyer_note=data.get("buyer_note", ""),
            internal_note=data.get("internal_note", ""),
            external_reference_id=data.get("external_reference_id", ""),
            metadata=data.get("metadata", {}),
        )
        edit = Edit(order, pricing.Parts(), actor)
        for param, line in parts.paths("line_items", data["line_items"]):
            parts.add_line(edit, line, param=param)
        for param, discount in parts.paths("discounts", data.get("discounts", [])):
            parts.add_discount(edit, discount["manual"], param=f"{param}.manual")
        if "requested_tip" in data:
            parts.set_tip(order, data["requested_tip"])
        if "tax" in data:
            parts.set_order_tax(edit, data["tax"])
        edit.tell("order.created", origin=origin, lines=len(edit.parts.lines))
        edit.commit()
        _refuse_empty_discounts(edit)
    return order, edit.parts


def _refuse_empty_discounts(edit: Edit) -> None:
    for index, discount in enumerate(edit.parts.discounts):
        if not discount.applied_amount:
            raise NoDiscountableBalance(param=f"discounts[{index}].manual")
