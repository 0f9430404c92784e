"""Why the balance of an order is what it is, as the order page shows it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flint.actors import Actor
from flint.admin import words
from flint.money import Money, half_up
from orders.admin.words import describe
from orders.explaining import ExplanationDoesNotAddUp, Rounding, Term, explain_order
from orders.models import Order

NAMES = {
    "total": "Total",
    "paid": "Paid",
    "refunded": "Refunded",
    "charged_back": "Charged back",
    "credit": "Credited",
    "balance": "Balance",
    "outstanding": "Outstanding",
}
KINDS = {
    "line_item": "Line",
    "included_tax": "Tax included in the price",
    "capture": "Payment captured",
    "refund": "Refund",
    "refund_reversed": "Refund that came back",
    "dispute_withdrawn": "Taken by a dispute",
    "dispute_reinstated": "Given back by a dispute",
    "credit_goods": "Goods no longer owed",
    "credit_charge": "Charge no longer owed",
    "credit_tip": "Tip no longer owed",
    "credit_tax": "Tax no longer owed",
    "credit_goods_reversed": "Goods owed again",
    "credit_charge_reversed": "Charge owed again",
    "credit_tip_reversed": "Tip owed again",
    "credit_tax_reversed": "Tax owed again",
    "write_off": "Written off",
    "write_off_reversed": "Owed after all",
    "over_collected": "Over-collected, nothing to be paid",
}


@dataclass
class TermRow:
    """One term as people read it."""

    text: str
    detail: str
    source: str
    at: datetime | None
    money: Money


@dataclass
class FigureRows:
    """A figure and its terms; it begins open where it is what people ask about."""

    name: str
    money: Money
    is_open: bool
    rows: list[TermRow] = field(default_factory=list)


def why(order: Order, *, actor: Actor, at: datetime | None = None) -> dict[str, Any]:
    """Return what the page says of an order's figures, or, if they do not add up, that."""
    try:
        explanation = explain_order(order.id, actor=actor, at=at)
    except ExplanationDoesNotAddUp as refusal:
        return {"error": refusal.message}
    names = {line.id: line.name for line in [*order.line_items.all(), *order.charges.all()]}
    figures = [
        FigureRows(
            NAMES[figure.name],
            order.money(figure.amount),
            is_open=figure.name == "balance",
            rows=[_row(term, order, names) for term in figure.terms],
        )
        for figure in explanation.figures
        if figure.terms and (figure.amount or figure.name in ("total", "balance") or len(figure.terms) > 1)
    ]
    return {"figures": figures}


def _row(term: Term, order: Order, names: dict[str, str]) -> TermRow:
    kind = NAMES.get(term.kind) or KINDS.get(term.kind) or words(term.kind)
    on = names.get(term.part[1], "") if term.part else ""
    return TermRow(
        text=f"{kind}: {term.name}" if term.name else kind,
        detail=", ".join(filter(None, [_reckoning(term, order), on and f"on {on}", _rounded(term.rounding)])),
        source=describe(term.event) if term.event else "",
        at=term.event.created_at if term.event else None,
        money=order.money(term.amount),
    )


def _reckoning(term: Term, order: Order) -> str:
    if term.quantity is not None:
        extras = f" + extras {order.money(term.modifier_total_amount)}" if term.modifier_total_amount else ""
        return f"{term.quantity} × {order.money(term.unit_price_amount)}{extras}"
    if term.included_amount is not None:
        return f"{order.money(term.included_amount)} is in the price"
    return ""


def _rounded(rounding: Rounding | None) -> str:
    """Tell what rounding did in thousandths of the smallest unit; the exact fraction is in the API's answer."""
    if rounding is None:
        return ""
    whole, rest = divmod(half_up(abs(rounding.numerator) * 1000, rounding.denominator), 1000)
    way = "up" if rounding.numerator > 0 else "down"
    return f"rounded {way} by {whole}.{rest:03} of the smallest unit"
