"""Adding, changing and removing lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Conflict, InvalidInput
from orders.models import LineItem, Order
from orders.services import parts
from orders.services.editing import Edit, editing


class OrderHasNoLineItems(InvalidInput):
    code = "ORDER_HAS_NO_LINE_ITEMS"
    message = "An order keeps at least one line item. Close the order instead of emptying it."


class OrderLineItemVersionConflict(Conflict):
    code = "ORDER_LINE_ITEM_VERSION_CONFLICT"
    message = "The line item has changed since you read it. Read it again and decide anew."


class PaidLineItem(Conflict):
    code = "PAID_LINE_ITEM_PRICE_CHANGE_FORBIDDEN"
    message = "The line item is paid. Correct it with a refund instead of an edit."


class TooManyLineItems(InvalidInput):
    code = "TOO_MANY_LINE_ITEMS"
    message = "An order carries at most 1000 line items."
    limit = 1000


def add_line_items(*, order_id: str, line_items: Sequence[Mapping[str, Any]], actor: Actor) -> Order:
    """
    Put lines on an open order.

    :raises OrderNotFound, OrderClosed, OrderPaymentAttemptActive: as :func:`editing`.
    :raises CurrencyMismatch: if a price is of another currency.
    """
    with editing(order_id, actor=actor) as edit:
        if len(edit.parts.lines) + len(line_items) > TooManyLineItems.limit:
            raise TooManyLineItems(param="line_items", limit=TooManyLineItems.limit)
        for param, data in parts.paths("line_items", line_items):
            line = parts.add_line(edit, data, param=param)
            edit.tell("order.line_item_added", line, name=line.name, quantity=line.quantity)
    return edit.order


def update_line_item(*, order_id: str, line_item_id: str, data: Mapping[str, Any], actor: Actor) -> Order:
    """
    Change a line. A paid one keeps its price, quantity and tax; only words and metadata may change.

    :raises OrderLineItemNotFound: if the line is not on this order.
    :raises PaidLineItem: with the code of what was to change.
    :raises OrderLineItemVersionConflict: if ``expected_version`` is stale.
    """
    with editing(order_id, actor=actor) as edit:
        line = _line(edit, line_item_id)
        if "expected_version" in data and data["expected_version"] != line.version:
            raise OrderLineItemVersionConflict(param="expected_version", current_version=line.version)
        if line.is_paid_on(edit.order):
            _refuse_paid_change(line, data)
        for column in ("name", "description", "quantity"):
            if column in data:
                setattr(line, column, data[column])
        if "unit_price_money" in data:
            line.unit_price_amount = parts.amount_in(edit.order, data["unit_price_money"], "unit_price_money")
        if "metadata" in data:
            line.metadata = merge(line.metadata, data["metadata"])
        parts.set_tax(edit, line, data.get("tax"), param="tax")
        edit.tell("order.line_item_updated", line, changed=sorted(set(data) - {"expected_version"}))
    return edit.order


def remove_line_item(*, order_id: str, line_item_id: str, actor: Actor) -> Order:
    """
    Take a line off the order.

    :raises OrderHasNoLineItems: if it is the last one. :raises PaidLineItem: if it is paid.
    """
    with editing(order_id, actor=actor) as edit:
        line = _line(edit, line_item_id)
        if line.is_paid_on(edit.order):
            raise PaidLineItem(code="PAID_LINE_ITEM_REMOVAL_FORBIDDEN")
        if len(edit.parts.lines) == 1:
            raise OrderHasNoLineItems
        edit.remove(line)
        edit.tell("order.line_item_removed", line, name=line.name, quantity=line.quantity)
    return edit.order


def _line(edit: Edit, line_item_id: str) -> LineItem:
    for line in edit.parts.lines:
        if line.id == line_item_id:
            return line
    raise LineItem.missing()


def _refuse_paid_change(line: LineItem, data: Mapping[str, Any]) -> None:
    if "unit_price_money" in data and data["unit_price_money"].amount != line.unit_price_amount:
        raise PaidLineItem(param="unit_price_money")
    if "quantity" in data and data["quantity"] < line.quantity:
        raise PaidLineItem(param="quantity", code="PAID_LINE_ITEM_QUANTITY_DECREASE_FORBIDDEN")
    if "quantity" in data and data["quantity"] > line.quantity:
        raise PaidLineItem(
            "The line item is paid. Add another line item for more units.",
            param="quantity",
            code="PAID_LINE_ITEM_QUANTITY_CHANGE_FORBIDDEN",
        )
    if "tax" in data:
        raise PaidLineItem(param="tax", code="PAID_LINE_ITEM_TAX_CHANGE_FORBIDDEN")
