"""The terms that an order's total is the sum of: each line, charge, discount, tip and tax, and how it was rounded."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from flint.events.models import Event
from flint.money import half_up
from orders import amounts
from orders.amounts import HUNDRED_PERCENT
from orders.models import Charge, Discount, LineItem, Order, TaxBreakdown
from orders.services.pricing import Parts

OnlyWords = frozenset({"name", "description", "metadata"})


@dataclass(frozen=True, slots=True)
class Rounding:
    """
    What rounding added to an amount, or took from it: so many parts of a minor unit.

    The amount less ``numerator / denominator`` is what the calculation gives exactly.
    """

    method: str
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class Term:
    """
    One term of a figure, in signed minor units, with the row that it is of and the event that brought it about.

    ``part`` is the line or charge that a discount or a tax is on. ``included_amount`` is tax that is in its price.
    """

    kind: str
    amount: int
    resource_type: str
    resource_id: str
    event: Event | None = None
    part: tuple[str, str] | None = None
    name: str = ""
    quantity: int | None = None
    unit_price_amount: int | None = None
    modifier_total_amount: int | None = None
    included_amount: int | None = None
    rounding: Rounding | None = None


Resource = tuple[str, str]


@dataclass
class Origins:
    """Which event the amount of a part comes from: the last that made it what it is, or else the order's creation."""

    events: list[Event]
    _by_subject: dict[str, Event] = field(default_factory=dict)
    _last: dict[str, Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for event in self.events:
            self._last[event.type] = event
            if not OnlyWords.issuperset(event.data.get("changed") or ["?"]):
                self._by_subject[event.subject_id] = event

    @property
    def created(self) -> Event | None:
        return self.events[0] if self.events else None

    def of(self, row_id: str) -> Event | None:
        """Return the event of a line, a charge or a discount."""
        return self._by_subject.get(row_id, self.created)

    def of_tax(self, owner_id: str | None) -> Event | None:
        """Return the event of a tax, which came with its line or charge, or with a change of the order's taxes."""
        found = [self.of(owner_id) if owner_id else self.created, self._last.get("order.tax_updated")]
        return max((event for event in found if event), key=lambda event: event.sequence, default=None)

    def of_tip(self) -> Event | None:
        """Return the event of the tip."""
        found = [event for event in self.events if event.type.startswith("order.requested_tip_")]
        return found[-1] if found else self.created


def terms_of_total(order: Order, parts: Parts, events: list[Event]) -> list[Term]:
    """Return the terms of an order's total, in the sequence in which the order shows its parts."""
    origins = Origins(events)
    terms = [
        Term(
            "line_item",
            line.subtotal_amount,
            *_resource(line),
            event=origins.of(line.id),
            name=line.name,
            quantity=line.quantity,
            unit_price_amount=line.unit_price_amount,
            modifier_total_amount=line.modifier_total_amount,
        )
        for line in parts.lines
    ]
    terms += [
        Term(
            "charge",
            charge.applied_amount,
            *_resource(charge),
            event=origins.of(charge.id),
            name=charge.name,
            rounding=_of_percent(charge.applied_amount, charge.percent, _bases(order, parts, charge)),
        )
        for charge in parts.charges
    ]
    terms += _discounts(order, parts, origins)
    if order.tip_id:
        rounding = _of_percent(order.tip_amount, order.tip_percent, [_merchandise(parts.lines), _paid(order, parts)])
        name = order.tip_name
        terms.append(
            Term("tip", order.tip_amount, "order_tip", order.tip_id, origins.of_tip(), name=name, rounding=rounding)
        )
    return terms + list(_taxes(parts, origins))


def _resource(part: LineItem | Charge) -> Resource:
    return ("order_line_item" if isinstance(part, LineItem) else "order_charge"), part.id


# Percentages


def _merchandise(lines: list[LineItem], *, before_discounts: bool = False) -> int:
    return sum(line.subtotal_amount - (0 if before_discounts else line.discount_amount) for line in lines)


def _paid(order: Order, parts: Parts) -> int:
    return _merchandise([line for line in parts.lines if line.is_paid_on(order)])


def _bases(order: Order, parts: Parts, charge: Charge) -> list[int]:
    """
    Return what the percentage of a charge may be of: the merchandise as it is, or as it was when money settled.

    Lines that came later do not change a charge that is paid.
    """
    before = charge.calculation_basis == "subtotal_pre_discount"
    paid = [line for line in parts.lines if line.is_paid_on(order)]
    return [_merchandise(lines, before_discounts=before) for lines in (parts.lines, paid)]


def _of_percent(amount: int, percent: int | None, bases: list[int]) -> Rounding | None:
    """Return the rounding of a percentage, by the base that it comes out of; None if it was even, or not of these."""
    if percent is None:
        return None
    base = next((base for base in bases if half_up(base * percent, HUNDRED_PERCENT) == amount), None)
    return None if base is None else _rounding("half_up", amount * HUNDRED_PERCENT - base * percent, HUNDRED_PERCENT)


def _rounding(method: str, numerator: int, denominator: int) -> Rounding | None:
    return Rounding(method, numerator, denominator) if numerator else None


# Discounts


def _discounts(order: Order, parts: Parts, origins: Origins) -> Iterator[Term]:
    """
    Tell which discount took how much from which line or charge.

    Only the sums are stored. The shares are worked out as they were then, and only told if they come to those sums;
    otherwise each line and charge is told with all that was taken from it.
    """
    owners = {part.id: part for part in [*parts.lines, *parts.charges]}
    shares = list(_shares(order, parts))
    taken: dict[str, int] = {}
    for _, key, amount, _ in shares:
        taken[key] = taken.get(key, 0) + amount
    if all(taken.get(key, 0) == part.discount_amount for key, part in owners.items()):
        for discount, key, amount, rounding in shares:
            resource = ("order_discount", discount.id)
            part = _resource(owners[key])
            event = origins.of(discount.id)
            yield Term("discount", -amount, *resource, event, part, name=discount.name, rounding=rounding)
    else:
        for part in owners.values():
            if part.discount_amount:
                yield Term("discount", -part.discount_amount, *_resource(part), origins.of(part.id), _resource(part))


def _shares(order: Order, parts: Parts) -> Iterator[tuple[Discount, str, int, Rounding | None]]:
    """What was paid for was discounted by what was redeemed with it, the rest by what is pending."""
    for is_paid, status in ((True, "redeemed"), (False, "pending")):
        goods = {line.id: line.subtotal_amount for line in parts.lines if line.is_paid_on(order) == is_paid}
        fees = {charge.id: charge.applied_amount for charge in parts.charges if charge.is_paid_on(order) == is_paid}
        for discount in parts.discounts:
            if discount.status != status:
                continue
            left = fees if discount.discount_class == "service_charge" else goods
            before = dict(left)
            wanted = amounts.Discount(
                discount.id, discount.amount, discount.discount_class, targets=tuple(discount.target_ids)
            )
            found = amounts.take(wanted, left)
            total = sum(before[key] for key in amounts.reached_by(wanted, before))
            for key, amount in found.shares:
                numerator = amount * total - found.applied * before[key]
                yield discount, key, amount, _rounding("largest_remainder", numerator, total)


# Taxes


def _taxes(parts: Parts, origins: Origins) -> Iterator[Term]:
    for part in [*parts.lines, *parts.charges]:
        taxes = parts.taxes_of(part)
        percents = sum(tax.percent for tax in taxes)
        inside = sum(tax.tax_amount for tax in taxes)
        for tax in taxes:
            common = {"event": origins.of_tax(part.id), "part": _resource(part), "name": _name(tax)}
            if tax.price_mode == "inclusive":
                whole = HUNDRED_PERCENT + percents
                rounding = _rounding(
                    "half_up" if len(taxes) == 1 else "largest_remainder",
                    tax.tax_amount * whole - (tax.taxable_amount + inside) * tax.percent,
                    whole,
                )
                amount = {"amount": 0, "included_amount": tax.tax_amount}
                yield Term("included_tax", resource_type="tax_breakdown", resource_id=tax.id, **amount, **common,
                           rounding=rounding if tax.tax_amount else None)  # fmt: skip
            else:
                yield Term("tax", tax.tax_amount, "tax_breakdown", tax.id, **common, rounding=_of_tax(tax))
    for tax in parts.flat_taxes:
        event = origins.of_tax(None)
        yield Term("tax", tax.tax_amount, "tax_breakdown", tax.id, event, name=_name(tax))


def _name(tax: TaxBreakdown) -> str:
    return f"{tax.jurisdiction.get('name', '')} {tax.tax_type.replace('_', ' ')}".strip()


def _of_tax(tax: TaxBreakdown) -> Rounding | None:
    return _of_percent(tax.tax_amount, tax.percent, [tax.taxable_amount])
