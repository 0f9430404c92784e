"""What an issued invoice bills, read from its snapshot: the rows of its document, and what can be credited of it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GOODS, CHARGE, TIP, TAX = "goods", "charge", "tip", "tax"
"""What a source can be. They are also what the ledger calls them when they are credited."""


@dataclass(frozen=True, slots=True)
class Source:
    """
    One thing that an invoice bills, in minor units: a line, a charge, the tip, or a flat tax of the order.

    ``total = subtotal - discount + tax - inclusive_tax``: the inclusive tax is in the subtotal already. ``part_id`` is
    what it is on the order. ``percents`` are in steps of 0.0001 %. ``total`` may be below zero where a later invoice
    bills changes to earlier ones.
    """

    id: str
    part_id: str
    kind: str
    name: str
    description: str
    quantity: int | None
    unit_price: int | None
    subtotal: int
    discount: int
    tax: int
    inclusive_tax: int
    total: int
    percents: tuple[int, ...] = ()

    @property
    def net(self) -> int:
        """What it comes to before tax."""
        return self.total - self.tax

    @property
    def shown(self) -> int:
        """What stands in the table of the document: after discount, with the tax that is in the price."""
        return self.subtotal - self.discount


def sources_of(snapshot: Mapping[str, Any]) -> list[Source]:
    """Return what an invoice bills: its lines, its charges, the tip and the flat taxes, in that sequence."""
    document = snapshot["document"]
    inclusive: dict[str, int] = defaultdict(int)
    percents: dict[str, list[int]] = defaultdict(list)
    flat = []
    for tax in document["taxes"]:
        part_id = tax["order_line_item_id"] or tax["order_charge_id"]
        if not part_id:
            flat.append(tax)
            continue
        if tax["percent"] is not None:
            percents[part_id].append(tax["percent"])
        if tax["price_mode"] == "inclusive":
            inclusive[part_id] += _amount(tax, "tax_money")
    sources = [_line(line, inclusive, percents) for line in snapshot.get("line_items", [])]
    sources += [_charge(charge, inclusive, percents) for charge in snapshot.get("charges", [])]
    if tip := _amount(snapshot["pricing_amounts"], "requested_tip_money"):
        name = snapshot.get("requested_tip", {}).get("name", "")
        sources.append(_plain("tip", TIP, name, subtotal=tip))
    sources += [_plain(tax["tax_breakdown_id"], TAX, tax["name"], tax=_amount(tax, "tax_money")) for tax in flat]
    return sources


def _line(line: Mapping[str, Any], inclusive: Mapping[str, int], percents: Mapping[str, list[int]]) -> Source:
    part_id = line.get("order_line_item_id", "")
    return Source(
        id=line["invoice_line_item_id"],
        part_id=part_id,
        kind=GOODS,
        name=line["name"],
        description=line.get("description", ""),
        quantity=line["quantity"],
        unit_price=_amount(line, "unit_price_money"),
        subtotal=_amount(line, "subtotal_money"),
        discount=_amount(line, "discount_money"),
        tax=_amount(line, "tax_money"),
        inclusive_tax=inclusive.get(part_id, 0),
        total=_amount(line, "total_money"),
        percents=tuple(percents.get(part_id, ())),
    )


def _charge(charge: Mapping[str, Any], inclusive: Mapping[str, int], percents: Mapping[str, list[int]]) -> Source:
    part_id = charge["order_charge_id"]
    return Source(
        id=part_id,
        part_id=part_id,
        kind=CHARGE,
        name=charge["name"],
        description=charge.get("description", ""),
        quantity=None,
        unit_price=None,
        subtotal=_amount(charge, "applied_money"),
        discount=_amount(charge, "discount_money"),
        tax=_amount(charge, "tax_money"),
        inclusive_tax=inclusive.get(part_id, 0),
        total=_amount(charge, "total_money"),
        percents=tuple(percents.get(part_id, ())),
    )


def _plain(source_id: str, kind: str, name: str, *, subtotal: int = 0, tax: int = 0) -> Source:
    return Source(
        id=source_id,
        part_id=source_id,
        kind=kind,
        name=name,
        description="",
        quantity=None,
        unit_price=None,
        subtotal=subtotal,
        discount=0,
        tax=tax,
        inclusive_tax=0,
        total=subtotal + tax,
    )


def _amount(row: Mapping[str, Any], name: str) -> int:
    return row[name]["amount"]
