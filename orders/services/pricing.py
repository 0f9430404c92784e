"""
Pricing a stored order: its parts go through ``orders.amounts`` and the results are written back onto the rows.

What was on the order when money settled is frozen: its amounts are what the buyer paid. Later edits price the rest.
"""

from dataclasses import dataclass, field

from flint.errors import Conflict, InvalidInput
from flint.money import MAX_AMOUNT
from orders import amounts
from orders.ledger import Posting
from orders.models import Charge, Discount, LineItem, Order, TaxBreakdown


class OrderTotalBelowNetCollected(Conflict):
    code = "ORDER_TOTAL_BELOW_NET_COLLECTED"
    message = "The new total would be less than what was collected and kept. Refund the difference instead."


class AmountTooLarge(InvalidInput):
    code = "AMOUNT_TOO_LARGE"
    message = "The order's total would be larger than Flint can carry."


class InvalidTipAmount(InvalidInput):
    code = "INVALID_TIP_AMOUNT"
    message = "The tip is larger than this order allows."


class NoDiscountableBalance(Conflict):
    code = "NO_DISCOUNTABLE_BALANCE"
    message = "Nothing is left on the order that this discount could lower."


PRICE_COLUMNS = ["discount_amount", "tax_amount", "inclusive_tax_amount", "total_amount"]
LINE_COLUMNS = ["base_subtotal_amount", "modifier_total_amount", "subtotal_amount", *PRICE_COLUMNS]
CHARGE_COLUMNS = ["applied_amount", *PRICE_COLUMNS]
ORDER_COLUMNS = [
    "subtotal_amount",
    "discount_amount",
    "charge_amount",
    "tip_amount",
    "tax_amount",
    "inclusive_tax_amount",
    "total_amount",
]


@dataclass
class Parts:
    """Everything an order is made of, in order of position. Removed rows are kept aside until they are deleted."""

    lines: list[LineItem] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)
    taxes: list[TaxBreakdown] = field(default_factory=list)

    def taxes_of(self, part: LineItem | Charge) -> list[TaxBreakdown]:
        """Return the percentage taxes of one line or charge."""
        column = "line_item_id" if isinstance(part, LineItem) else "charge_id"
        return [tax for tax in self.taxes if getattr(tax, column) == part.id]

    @property
    def flat_taxes(self) -> list[TaxBreakdown]:
        return [tax for tax in self.taxes if tax.is_flat]


def load(order: Order) -> Parts:
    """Read the parts of an order: four statements, whatever their number."""
    return Parts(
        lines=list(LineItem.objects.filter(order_id=order.id).order_by("position")),
        charges=list(Charge.objects.filter(order_id=order.id).order_by("position")),
        discounts=list(Discount.objects.filter(order_id=order.id).order_by("position")),
        taxes=list(TaxBreakdown.objects.filter(order_id=order.id).order_by("position")),
    )


def sale_of(order: Order, parts: Parts) -> dict[str, int]:
    """Return what the order recognises as sold, by ledger kind; the four sum to its total."""
    return {
        "sale_goods": sum(p.subtotal_amount - p.discount_amount - p.inclusive_tax_amount for p in parts.lines),
        "sale_charge": sum(p.applied_amount - p.discount_amount - p.inclusive_tax_amount for p in parts.charges),
        "sale_tip": order.tip_amount,
        "sale_tax": order.tax_amount,
    }


def sale_postings(before: dict[str, int], after: dict[str, int], source_id: str) -> list[Posting]:
    """Return the movements that turn one recognised sale into another."""
    return [Posting(kind, after[kind] - before[kind], source_id) for kind in after]


def reprice(order: Order, parts: Parts) -> None:
    """
    Give every part and the order the amounts that follow from its parts as they are in memory. Saves nothing.

    :raises OrderTotalBelowNetCollected: if less would be owed than was collected and kept.
    :raises AmountTooLarge: if a total leaves the range of money.
    :raises InvalidTipAmount: if the tip is above its ceiling.
    """
    cart = _cart(order, parts)
    priced = amounts.price(cart)
    if priced.total > MAX_AMOUNT:
        raise AmountTooLarge(maximum_money=order.money(MAX_AMOUNT))
    _write_back(priced, parts)
    sums = {
        "subtotal_amount": sum(line.subtotal_amount for line in parts.lines),
        "discount_amount": sum(part.discount_amount for part in [*parts.lines, *parts.charges]),
        "charge_amount": sum(charge.applied_amount for charge in parts.charges),
        "tip_amount": order.tip_amount if order.has_settled else priced.tip,
        "tax_amount": sum(part.tax_amount for part in [*parts.lines, *parts.charges, *parts.flat_taxes]),
        "inclusive_tax_amount": sum(part.inclusive_tax_amount for part in [*parts.lines, *parts.charges]),
    }
    total = (
        sums["subtotal_amount"]
        - sums["discount_amount"]
        + sums["charge_amount"]
        + sums["tip_amount"]
        + sums["tax_amount"]
        - sums["inclusive_tax_amount"]
    )
    merchandise = sum(line.subtotal_amount - line.discount_amount for line in parts.lines)
    ceiling = amounts.tip_ceiling(order.currency, merchandise)
    if ceiling is not None and sums["tip_amount"] > ceiling and not order.has_settled:
        raise InvalidTipAmount(param="requested_tip", maximum_money=order.money(ceiling))
    if total < order.total_amount and total - order.credit_amount < order.net_collected_amount:
        raise OrderTotalBelowNetCollected(
            submitted_money=order.money(total),
            required_money=order.money(order.net_collected_amount + order.credit_amount),
        )
    order.reprice(**sums, total_amount=total)


def _cart(order: Order, parts: Parts) -> amounts.Cart:
    def components(part: LineItem | Charge) -> tuple[amounts.TaxComponent, ...]:
        if not order.tax_enabled or part.taxable is False:
            return ()
        return tuple(amounts.TaxComponent(key=tax.id, percent=tax.percent) for tax in parts.taxes_of(part))

    frozen = [line for line in parts.lines if line.is_paid_on(order)]
    open_lines = [line for line in parts.lines if not line.is_paid_on(order)]
    open_charges = [charge for charge in parts.charges if not charge.is_paid_on(order)]
    tip = None
    if order.tip_id and not order.has_settled:
        tip = amounts.Tip(amount=order.tip_requested_amount, percent=order.tip_percent)
    return amounts.Cart(
        lines=tuple(
            amounts.Line(
                key=line.id,
                quantity=line.quantity,
                unit_price=line.unit_price_amount,
                modifier_total=line.modifier_total_amount,
                inclusive=line.price_mode == "inclusive",
                components=components(line),
            )
            for line in open_lines
        ),
        charges=tuple(
            amounts.Charge(
                key=charge.id,
                amount=charge.fixed_amount,
                percent=charge.percent,
                basis=charge.calculation_basis or None,
                inclusive=charge.price_mode == "inclusive",
                components=components(charge),
            )
            for charge in open_charges
        ),
        discounts=tuple(
            amounts.Discount(
                key=discount.id,
                amount=discount.amount,
                discount_class=discount.discount_class,
                targets=tuple(discount.target_ids),
            )
            for discount in parts.discounts
            if discount.status == "pending"
        ),
        tip=tip,
        flat_taxes=tuple(amounts.FlatTax(key=tax.id, amount=tax.flat_amount) for tax in parts.flat_taxes),
        settled_subtotal=sum(line.subtotal_amount for line in frozen),
        settled_discount=sum(line.discount_amount for line in frozen),
    )


def _write_back(priced: amounts.Priced, parts: Parts) -> None:
    lines = {line.id: line for line in parts.lines}
    for found in priced.lines:
        line = lines[found.key]
        line.base_subtotal_amount = found.base_subtotal
        line.modifier_total_amount = found.modifier_total
        line.subtotal_amount = found.subtotal
        line.discount_amount = found.discount
        line.tax_amount = found.tax
        line.inclusive_tax_amount = found.inclusive_tax
        line.total_amount = found.total
    charges = {charge.id: charge for charge in parts.charges}
    for found in priced.charges:
        charge = charges[found.key]
        charge.applied_amount = found.applied
        charge.discount_amount = found.discount
        charge.tax_amount = found.tax
        charge.inclusive_tax_amount = found.inclusive_tax
        charge.total_amount = found.total
    discounts = {discount.id: discount for discount in parts.discounts}
    for found in priced.discounts:
        discounts[found.key].applied_amount = found.applied
    open_owners = {found.key for found in [*priced.lines, *priced.charges]}
    told = {found.key: found for found in priced.taxes}
    for tax in parts.taxes:
        if tax.is_flat:
            tax.tax_amount = tax.flat_amount
        elif (tax.line_item_id or tax.charge_id) in open_owners:
            tax.taxable_amount = told[tax.id].taxable if tax.id in told else 0
            tax.tax_amount = told[tax.id].tax if tax.id in told else 0
