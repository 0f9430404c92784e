"""What the page of one order shows, read in a fixed number of statements."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flint.actors import Actor
from flint.admin import badge, badges, environment_badge, words
from flint.events.models import Event
from flint.money import Money
from orders.admin.history import history_of
from orders.admin.registry import Figure, order_sections
from orders.admin.why import why
from orders.models import Charge, Discount, LineItem, Order, TaxBreakdown

NEWEST_NOTES = 5


@dataclass
class PartRow:
    """A line, a charge, a discount, a tip or a tax in the table of what was sold."""

    kind: str
    name: str
    detail: str
    total: Money | None = None
    discount: Money | None = None
    tax: Money | None = None
    refunded: Money | None = None
    pending: Money | None = None
    refunded_units: int = 0
    hint: str = ""


def page_of(order: Order, *, actor: Actor, history_page: str = "", at: datetime | None = None) -> dict[str, Any]:
    """
    Return the context of the order page, with what the rooms to the right show on it.

    As of a moment, ``order`` is the order as it stood, and what other rooms show of now is left out.
    """
    page = int(history_page) if history_page.isascii() and history_page.isdigit() and len(history_page) < 9 else 1
    sections = [(section.template, section.load(order)) for section in ([] if at else order_sections)]
    notes = Event.objects.filter(order_id=order.id, type="order.note_added", sequence__lte=order.event_count)
    notes = notes.order_by("-sequence")[:NEWEST_NOTES]
    return {
        "order": order,
        "zone": order.environment.merchant.reporting_timezone,
        "status_badges": badges(order.status, order.payment_status),
        "refund_badge": badge(order.refund_status, "No refunds" if order.refund_status == "none" else ""),
        "environment_badge": environment_badge(order.environment),
        "hidden_badge": hidden_badge(order),
        "figures": _figures(order),
        "more_figures": [*_more_figures(order), *(figure for _, content in sections for figure in content.figures)],
        "parts": _parts(order),
        "sums": _sums(order),
        "why": why(order, actor=actor, at=at),
        "as_of": at,
        "sections": [{"template": template, **content.context} for template, content in sections],
        "notes": list(notes),
        "history": history_of(order, page),
    }


def hidden_badge(order: Order) -> str:
    """Mark an order that only keeps the record of a payment which a merchant took without one."""
    return badge("hidden", "Payment without an order") if order.is_hidden else ""


def _figures(order: Order) -> list[Figure]:
    money = order.money
    figures = [
        Figure("Total", money(order.total_amount)),
        Figure("Paid", money(order.paid_amount)),
        Figure("Refunded", money(order.refunded_amount)),
        Figure("Credited", money(order.credit_amount), hint="No longer owed: returned goods and write-offs"),
    ]
    if order.balance_amount < 0:
        return [*figures, Figure("Over-collected", money(-order.balance_amount), tone="bad")]
    return [*figures, Figure("Outstanding", order.outstanding_money, tone="strong")]


def _more_figures(order: Order) -> list[Figure]:
    figures = [
        Figure("Refund on its way", order.money(order.refund_pending_amount), tone="warn"),
        Figure("Charged back", order.money(order.charged_back_amount), tone="bad"),
    ]
    return [figure for figure in figures if figure.money]


def _parts(order: Order) -> list[PartRow]:
    taxes = list(order.tax_breakdowns.all())
    rows = [_line_row(line, order, taxes) for line in order.line_items.all()]
    rows += [_charge_row(charge, order, taxes) for charge in order.charges.all()]
    rows += [_discount_row(discount, order) for discount in order.discounts.all()]
    if order.tip_amount:
        rows.append(
            PartRow(
                kind="Tip" if order.tip_name else "",
                name=order.tip_name or "Tip",
                detail=f"{percent(order.tip_percent)} %" if order.tip_percent else "",
                total=order.money(order.tip_amount),
                refunded=order.money(order.tip_refunded_amount),
                pending=order.money(order.tip_refund_pending_amount),
            )
        )
    rows += [_flat_tax_row(tax, order) for tax in taxes if tax.is_flat]
    return rows


def _line_row(line: LineItem, order: Order, taxes: list[TaxBreakdown]) -> PartRow:
    extras = f", extras {order.money(line.modifier_total_amount)}" if line.modifier_total_amount else ""
    return PartRow(
        kind="Line",
        name=line.name,
        detail=f"{line.quantity} × {order.money(line.unit_price_amount)}{extras}",
        total=order.money(line.total_amount),
        discount=order.money(-line.discount_amount),
        tax=order.money(line.tax_amount),
        hint=_tax_hint([tax for tax in taxes if tax.line_item_id == line.id]),
        refunded=order.money(line.refunded_amount),
        pending=order.money(line.refund_pending_amount),
        refunded_units=line.refunded_quantity,
    )


def _charge_row(charge: Charge, order: Order, taxes: list[TaxBreakdown]) -> PartRow:
    return PartRow(
        kind="Charge",
        name=charge.name,
        detail=f"{percent(charge.percent)} %" if charge.percent is not None else "",
        total=order.money(charge.total_amount),
        discount=order.money(-charge.discount_amount),
        tax=order.money(charge.tax_amount),
        hint=_tax_hint([tax for tax in taxes if tax.charge_id == charge.id]),
        refunded=order.money(charge.refunded_amount),
        pending=order.money(charge.refund_pending_amount),
    )


def _discount_row(discount: Discount, order: Order) -> PartRow:
    """Show a discount by itself; it has no total, since the parts above bear it already."""
    return PartRow(
        kind="Discount",
        name=discount.name,
        detail="shared out above" if discount.status != "canceled" else "canceled",
        discount=order.money(-discount.applied_amount),
    )


def _flat_tax_row(tax: TaxBreakdown, order: Order) -> PartRow:
    return PartRow(
        kind="Tax",
        name=_tax_name(tax),
        detail="flat",
        total=order.money(tax.tax_amount),
        refunded=order.money(tax.refunded_amount),
        pending=order.money(tax.refund_pending_amount),
    )


def _tax_hint(taxes: list[TaxBreakdown]) -> str:
    return ", ".join(
        f"{_tax_name(tax)} {percent(tax.percent)} %{' included' if tax.price_mode == 'inclusive' else ''}"
        for tax in taxes
    )


def _tax_name(tax: TaxBreakdown) -> str:
    kind = tax.tax_type.upper() if len(tax.tax_type) <= 3 else words(tax.tax_type).lower()
    return f"{tax.jurisdiction.get('name', '')} {kind}".strip()


def _sums(order: Order) -> list[tuple[str, Money]]:
    """Return the terms of the total; they add up to it."""
    terms = [
        ("Subtotal", order.subtotal_amount),
        ("Discounts", -order.discount_amount),
        ("Charges", order.charge_amount),
        ("Tip", order.tip_amount),
        ("Tax", order.tax_amount),
        ("Tax included in prices", -order.inclusive_tax_amount),
    ]
    shown = [(name, order.money(amount)) for name, amount in terms if amount or name == "Subtotal"]
    return [*shown, ("Total", order.money(order.total_amount))]


def percent(units: int | None) -> str:
    """Write a percentage that is kept in units of 0.0001 %."""
    whole, rest = divmod(units or 0, 10_000)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".")
