"""
Pricing: what an order is worth, as a pure function of what is on it.

Amounts are whole minor units of one currency. Percents are integers in steps of 0.0001 %, so 10.75 % is 107_500.
A percent is rounded half up where its result is stored (charge, tip, tax component), once, and then only added; a
split is by largest remainder with ties to the earlier, so that the parts always sum to the whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from flint.money import half_up, share

HUNDRED_PERCENT = 1_000_000
"""100 % in the steps that percents are counted in."""

Basis = Literal["subtotal_pre_discount", "subtotal_post_discount"]
DiscountClass = Literal["order", "line_item", "service_charge"]
Owner = Literal["line", "charge", "order"]


@dataclass(frozen=True, slots=True)
class TaxComponent:
    """One jurisdiction's percentage on a line or charge."""

    key: str
    percent: int


@dataclass(frozen=True, slots=True)
class Line:
    """Merchandise. The modifiers' total covers the whole quantity; ``inclusive``: the price contains the tax."""

    key: str
    quantity: int
    unit_price: int
    modifier_total: int = 0
    inclusive: bool = False
    components: tuple[TaxComponent, ...] = ()


@dataclass(frozen=True, slots=True)
class Charge:
    """A fee: either an amount, or a percent of the merchandise before or after its discounts."""

    key: str
    amount: int | None = None
    percent: int | None = None
    basis: Basis | None = None
    inclusive: bool = False
    components: tuple[TaxComponent, ...] = ()


@dataclass(frozen=True, slots=True)
class Discount:
    """
    An amount off all lines (``order``), off the lines named (``line_item``) or off charges (``service_charge``).

    Without targets a ``service_charge`` discount is off all charges. A target that is not in the cart has nothing
    to take from.
    """

    key: str
    amount: int
    discount_class: DiscountClass
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tip:
    """Either an amount, or a percent of the merchandise after its discounts."""

    amount: int | None = None
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class FlatTax:
    """A fixed tax on the order as a whole, always on top."""

    key: str
    amount: int


@dataclass(frozen=True, slots=True)
class Cart:
    """Everything that decides what an order is worth. Keys are unique among their kind; sequence breaks ties."""

    lines: tuple[Line, ...]
    charges: tuple[Charge, ...] = ()
    discounts: tuple[Discount, ...] = ()
    tip: Tip | None = None
    flat_taxes: tuple[FlatTax, ...] = ()
    settled_subtotal: int = 0
    """Merchandise that is paid and no longer priced; it still counts where a percentage is taken of the merchandise."""
    settled_discount: int = 0


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """``total`` is subtotal - discount + the tax on top; ``tax`` counts the ``inclusive_tax`` inside the price too."""

    key: str
    base_subtotal: int
    modifier_total: int
    subtotal: int
    discount: int
    tax: int
    inclusive_tax: int
    total: int


@dataclass(frozen=True, slots=True)
class ChargeAmounts:
    """``total`` is applied - discount + the tax on top; ``tax`` counts the ``inclusive_tax`` inside the price too."""

    key: str
    applied: int
    discount: int
    tax: int
    inclusive_tax: int
    total: int


@dataclass(frozen=True, slots=True)
class DiscountAmounts:
    """What a discount really took, and from which lines or charges; targets it took nothing from are left out."""

    key: str
    applied: int
    shares: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class TaxAmounts:
    """One row of the tax breakdown. A flat tax belongs to the order: it has no owner key and nothing taxable."""

    owner: Owner
    owner_key: str | None
    key: str
    taxable: int
    tax: int
    inclusive: bool


@dataclass(frozen=True, slots=True)
class Priced:
    """
    What an order is worth, and why.

    ``total`` = subtotal - discount + charge + tip + (tax - inclusive_tax), which is also the sum of the totals of
    lines and charges, the tip and the flat taxes. Nothing is negative. Rows come in the sequence of the cart.
    """

    subtotal: int
    discount: int
    charge: int
    tip: int
    tax: int
    inclusive_tax: int
    total: int
    lines: tuple[LineAmounts, ...]
    charges: tuple[ChargeAmounts, ...]
    discounts: tuple[DiscountAmounts, ...]
    taxes: tuple[TaxAmounts, ...]


def price(cart: Cart) -> Priced:
    """
    Work out what a cart is worth.

    Discounts apply in their sequence, each up to what its targets have left, in proportion to what each has left.
    Those on merchandise never touch charges or the tip. Tax is on what a line or charge is worth after discounts.

    :raises ValueError: if modifiers make a line worth less than nothing.
    """
    worth = {line.key: line.unit_price * line.quantity + line.modifier_total for line in cart.lines}
    if any(subtotal < 0 for subtotal in worth.values()):
        raise ValueError("a line is never worth less than nothing")
    goods = dict(worth)
    taken = {one.key: take(one, goods) for one in cart.discounts if one.discount_class != "service_charge"}
    before = sum(worth.values())
    basis_before = before + cart.settled_subtotal
    basis_after = sum(goods.values()) + cart.settled_subtotal - cart.settled_discount

    applied = {
        charge.key: _resolve(charge, basis_before if charge.basis == "subtotal_pre_discount" else basis_after)
        for charge in cart.charges
    }
    fees = dict(applied)
    taken |= {one.key: take(one, fees) for one in cart.discounts if one.discount_class == "service_charge"}

    lines, charges, taxes = [], [], []
    for line in cart.lines:
        rows = _taxes("line", line, goods[line.key])
        lines.append(_line(line, worth[line.key], goods[line.key], rows))
        taxes += rows
    for charge in cart.charges:
        rows = _taxes("charge", charge, fees[charge.key])
        charges.append(_charge(charge, applied[charge.key], fees[charge.key], rows))
        taxes += rows
    taxes += [
        TaxAmounts("order", None, flat.key, taxable=0, tax=flat.amount, inclusive=False) for flat in cart.flat_taxes
    ]

    discount = sum(one.applied for one in taken.values())
    fee = sum(applied.values())
    tip = _resolve(cart.tip, basis_after) if cart.tip else 0
    tax, inclusive_tax = _sums(taxes)
    return Priced(
        subtotal=before,
        discount=discount,
        charge=fee,
        tip=tip,
        tax=tax,
        inclusive_tax=inclusive_tax,
        total=before - discount + fee + tip + tax - inclusive_tax,
        lines=tuple(lines),
        charges=tuple(charges),
        discounts=tuple(taken[one.key] for one in cart.discounts),
        taxes=tuple(taxes),
    )


def tip_ceiling(currency: str, merchandise: int) -> int | None:
    """Return the largest tip allowed on merchandise after discounts: in USD the larger of it and 1,000 dollars."""
    return max(100_000, merchandise) if currency == "USD" else None


def _resolve(priced: Charge | Tip, basis: int) -> int:
    return priced.amount if priced.percent is None else half_up(basis * priced.percent, HUNDRED_PERCENT)


def reached_by(discount: Discount, left: dict[str, int]) -> list[str]:
    """Return the keys of what a discount may take from."""
    # A line discount whose lines are all gone takes nothing; falling back to the other lines would give money away.
    everything = not discount.targets and discount.discount_class != "line_item"
    return [key for key in left if everything or key in discount.targets]


def take(discount: Discount, left: dict[str, int]) -> DiscountAmounts:
    """Take a discount out of what is left, in place, and tell how much came from where."""
    keys = reached_by(discount, left)
    applied = min(discount.amount, sum(left[key] for key in keys))
    parts = share(applied, [left[key] for key in keys])
    shares = tuple((key, part) for key, part in zip(keys, parts, strict=True) if part)
    for key, part in shares:
        left[key] -= part
    return DiscountAmounts(discount.key, applied, shares)


def _taxes(owner: Owner, taxed: Line | Charge, base: int) -> list[TaxAmounts]:
    """Tax a line or charge, whose worth after discounts is the base, by each of its components."""
    percents = [component.percent for component in taxed.components]
    if taxed.inclusive:
        # The tax inside a price is rounded once and then split: rounded apart, the components miss it by a unit.
        inside = half_up(base * sum(percents), HUNDRED_PERCENT + sum(percents))
        amounts, taxable = share(inside, percents), base - inside
    else:
        amounts, taxable = [half_up(base * percent, HUNDRED_PERCENT) for percent in percents], base
    return [
        TaxAmounts(owner, taxed.key, component.key, taxable, amount, taxed.inclusive)
        for component, amount in zip(taxed.components, amounts, strict=True)
    ]


def _sums(rows: Iterable[TaxAmounts]) -> tuple[int, int]:
    """Add up all tax, and the part of it that is inside the prices."""
    return sum(row.tax for row in rows), sum(row.tax for row in rows if row.inclusive)


def _line(line: Line, subtotal: int, net: int, taxes: list[TaxAmounts]) -> LineAmounts:
    tax, inclusive_tax = _sums(taxes)
    return LineAmounts(
        key=line.key,
        base_subtotal=subtotal - line.modifier_total,
        modifier_total=line.modifier_total,
        subtotal=subtotal,
        discount=subtotal - net,
        tax=tax,
        inclusive_tax=inclusive_tax,
        total=net + tax - inclusive_tax,
    )


def _charge(charge: Charge, applied: int, net: int, taxes: list[TaxAmounts]) -> ChargeAmounts:
    tax, inclusive_tax = _sums(taxes)
    return ChargeAmounts(
        key=charge.key,
        applied=applied,
        discount=applied - net,
        tax=tax,
        inclusive_tax=inclusive_tax,
        total=net + tax - inclusive_tax,
    )
