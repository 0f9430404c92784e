"""Making rows of what a request describes: lines, charges, discounts, taxes. Nothing is saved here."""

from collections.abc import Mapping, Sequence
from typing import Any

from flint.errors import Conflict, InvalidInput, NotFound
from flint.ids import new_id
from flint.money import Money
from orders.models import Charge, Discount, LineItem, Order, TaxBreakdown
from orders.services.editing import Edit

Input = Mapping[str, Any]


class CurrencyMismatch(InvalidInput):
    code = "CURRENCY_MISMATCH"
    message = "An order has one currency; send every amount in it."


class AutomaticTaxConnectionRequired(Conflict):
    code = "AUTOMATIC_TAX_CONNECTION_REQUIRED"
    message = "No tax engine is connected. Send the taxes yourself with mode 'external'."


class LineItemNotOnOrder(NotFound):
    code = "LINE_ITEM_NOT_ON_ORDER"
    message = "The discount names a line item that is not on this order."


class ChargeNotOnOrder(NotFound):
    code = "CHARGE_NOT_ON_ORDER"
    message = "The discount names a charge that is not on this order."


def amount_in(order: Order, money: Money, param: str) -> int:
    """
    Return the minor units of an amount for this order.

    :raises CurrencyMismatch: if it is of another currency.
    """
    if money.currency != order.currency:
        raise CurrencyMismatch(param=f"{param}.currency")
    return money.amount


def add_line(edit: Edit, data: Input, *, param: str) -> LineItem:
    """Put a line on the order. ``data`` is a validated line of the contract, ``param`` its path in the request."""
    line = LineItem(
        name=data["name"],
        description=data.get("description", ""),
        quantity=data.get("quantity", 1),
        unit_price_amount=amount_in(edit.order, data["unit_price_money"], f"{param}.unit_price_money"),
        metadata=data.get("metadata", {}),
    )
    edit.add(line)
    set_tax(edit, line, data.get("tax"), param=f"{param}.tax")
    return line


def add_charge(edit: Edit, data: Input, *, param: str) -> Charge:
    """Put a fee on the order, fixed or in percent."""
    charge = Charge(
        name=data["name"],
        type=data["type"],
        description=data.get("description", ""),
        metadata=data.get("metadata", {}),
    )
    set_charge_value(edit.order, charge, data, param=param)
    edit.add(charge)
    set_tax(edit, charge, data.get("tax"), param=f"{param}.tax")
    return charge


def set_charge_value(order: Order, charge: Charge, data: Input, *, param: str) -> None:
    """Give a charge its fixed amount or its percentage; one replaces the other."""
    if "amount_money" in data:
        charge.fixed_amount = amount_in(order, data["amount_money"], f"{param}.amount_money".lstrip("."))
        charge.percent, charge.calculation_basis = None, ""
    elif "percent" in data:
        charge.fixed_amount, charge.percent = None, data["percent"]
    if "calculation_basis" in data:
        charge.calculation_basis = data["calculation_basis"]


def add_discount(edit: Edit, data: Input, *, param: str) -> Discount:
    """
    Put a manual discount on the order.

    :raises LineItemNotOnOrder: if a targeted line is not there. :raises ChargeNotOnOrder: likewise for a charge.
    """
    lines, charges = data.get("order_line_item_ids", []), data.get("order_charge_ids", [])
    for index, target in enumerate(lines):
        if target not in {line.id for line in edit.parts.lines}:
            raise LineItemNotOnOrder(param=f"{param}.order_line_item_ids[{index}]")
    for index, target in enumerate(charges):
        if target not in {charge.id for charge in edit.parts.charges}:
            raise ChargeNotOnOrder(param=f"{param}.order_charge_ids[{index}]")
    discount = Discount(
        name=data["name"],
        amount=amount_in(edit.order, data["amount_money"], f"{param}.amount_money"),
        discount_class=data.get("discount_class", "order"),
        target_ids=[*lines, *charges],
    )
    edit.add(discount)
    return discount


def set_tax(edit: Edit, part: LineItem | Charge, tax: Input | None, *, param: str) -> None:
    """
    Give a line or charge the taxes a request states; leaving ``tax`` out leaves them as they are.

    :raises AutomaticTaxConnectionRequired: for mode ``automatic``.
    """
    if tax is None:
        return
    part.taxable = tax.get("taxable")
    part.tax_category = tax.get("line_item_tax_category") or tax.get("charge_tax_category") or ""
    calculation = tax.get("calculation")
    for row in edit.parts.taxes_of(part):
        edit.remove(row)
    part.price_mode = ""
    if calculation is None:
        return
    refuse_automatic(calculation, param=param)
    part.price_mode = calculation["price_mode"]
    owner = {"line_item_id": part.id} if isinstance(part, LineItem) else {"charge_id": part.id}
    for component in calculation["components"]:
        edit.add(
            TaxBreakdown(
                **owner,
                calculation_type="percentage",
                tax_type=component["tax_type"],
                price_mode=part.price_mode,
                percent=component["percent"],
                jurisdiction=component["jurisdiction"],
            )
        )


def set_order_tax(edit: Edit, tax: Input, *, param: str = "tax") -> None:
    """Switch the order's taxes on or off and give it the flat ones a request states."""
    edit.order.tax_enabled = tax.get("enabled", True)
    calculation = tax.get("calculation")
    for row in list(edit.parts.flat_taxes):
        edit.remove(row)
    if calculation is None:
        return
    refuse_automatic(calculation, param=param)
    for index, component in enumerate(calculation.get("components", [])):
        flat = amount_in(edit.order, component["flat_money"], f"{param}.calculation.components[{index}].flat_money")
        edit.add(
            TaxBreakdown(
                calculation_type="flat_amount",
                tax_type=component.get("tax_type", "retail_delivery_fee"),
                price_mode="additive",
                flat_amount=flat,
                jurisdiction=component["jurisdiction"],
            )
        )


def refuse_automatic(calculation: Input, *, param: str) -> None:
    """:raises AutomaticTaxConnectionRequired: if Flint is asked to work the tax out itself."""
    if calculation["mode"] == "automatic":
        raise AutomaticTaxConnectionRequired(param=f"{param}.calculation.mode")


def set_tip(order: Order, tip: Input | None) -> None:
    """Ask for a tip on the order, or for none."""
    order.tip_id = new_id("oti") if tip else ""
    tip = tip or {}
    money: Money | None = tip.get("amount_money")
    order.tip_requested_amount = amount_in(order, money, "requested_tip.amount_money") if money else None
    order.tip_percent = tip.get("percent")
    order.tip_name = tip.get("name", "")
    order.tip_description = tip.get("description", "")
    order.tip_metadata = tip.get("metadata", {})


def paths(name: str, items: Sequence[Any]) -> list[tuple[str, Any]]:
    """Pair each item of a request's list with its path, ``line_items[0]`` and so on."""
    return [(f"{name}[{index}]", item) for index, item in enumerate(items)]
