"""
Explaining an order: its figures as sums of terms, worked out twice.

The terms of the total come from the rows, those of what was settled from the ledger; each is held against the other
source and against what the order shows. Where they disagree nothing is explained, and it is said out loud.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import transaction

from flint.actors import Actor
from flint.errors import FlintError
from flint.events.models import Event
from orders.as_of import read_order_as_of
from orders.explaining.claims import Claim, claims_on
from orders.explaining.terms import Term, terms_of_total
from orders.ledger import RECEIVABLE
from orders.models import LedgerEntry, Order
from orders.services import pricing

log = structlog.get_logger(__name__)

SETTLED = {
    "paid": {"capture": 1, "manual_payment": 1, "manual_payment_reversed": -1},
    "refunded": {"refund": 1, "refund_reversed": -1},
    "charged_back": {"dispute_withdrawn": 1, "dispute_reinstated": -1},
}
COLUMNS = {
    "total": "total_amount",
    "paid": "paid_amount",
    "refunded": "refunded_amount",
    "charged_back": "charged_back_amount",
    "credit": "credit_amount",
    "balance": "balance_amount",
    "outstanding": "outstanding_amount",
}
BALANCE = {"total": 1, "credit": -1, "paid": -1, "refunded": 1, "charged_back": 1}

RESOURCES = {"paymentintent": "payment_intent"}
"""What the subject of an event is called in the API, where an event is the source of an entry."""


class ExplanationDoesNotAddUp(FlintError):
    code = "EXPLANATION_DOES_NOT_ADD_UP"
    message = (
        "What this order shows, its rows and its ledger do not tell the same, so nothing is explained. It is a defect "
        "of this installation. Whoever runs it finds the difference in the log. Do not act on these amounts before."
    )


@dataclass(frozen=True, slots=True)
class Figure:
    """An amount of the order and what it is the sum of."""

    name: str
    amount: int
    terms: list[Term]


@dataclass
class Explanation:
    """All figures of one order at one moment."""

    order: Order
    figures: list[Figure] = field(default_factory=list)
    as_of: datetime | None = None


def explain_order(order_id: str, *, actor: Actor, at: datetime | None = None) -> Explanation:
    """
    Explain an order as it is, or as it stood at a moment. A fixed number of statements, whatever is on the order.

    :raises OrderNotFound: if it is absent or foreign. :raises InvalidAsOf, OrderNotCreatedYet: for the moment.
    :raises ExplanationDoesNotAddUp: if its rows, its ledger and what it shows disagree.
    """
    if at is not None:
        order = read_order_as_of(order_id, at=at, actor=actor)
        return explanation_of(order, _restored(order), at=at)
    with transaction.atomic():
        # Locked, so that what is read one after the other belongs together.
        order = Order.objects.of(actor).select_related("environment").lock(id=order_id)
        return explanation_of(order, pricing.load(order))


def explanation_of(order: Order, parts: pricing.Parts, *, at: datetime | None = None) -> Explanation:
    """
    Explain an order that nobody changes meanwhile, with its parts.

    At an earlier moment, what other rooms' rows say is left out of the comparison: they tell of now.
    """
    events = list(Event.objects.filter(order_id=order.id, sequence__lte=order.event_count).order_by("sequence"))
    entries = list(LedgerEntry.objects.filter(order_id=order.id, sequence__lte=order.entry_count).order_by("sequence"))
    claims = claims_on(order, events)
    total = terms_of_total(order, parts, events)
    settled, accounted = _settled(entries, events, claims)
    figures = {"total": total, **settled}
    figures["balance"] = [
        Term(name, sign * getattr(order, COLUMNS[name]), "order", order.id) for name, sign in BALANCE.items()
    ]
    figures["outstanding"] = [Term("balance", order.balance_amount, "order", order.id)]
    if order.balance_amount < 0:
        figures["outstanding"].append(Term("over_collected", -order.balance_amount, "order", order.id))
    _hold_together(order, figures, _sold(entries), pricing.sale_of(order, parts))
    if at is None:
        _hold_against_rows(order, accounted, claims)
    return Explanation(order, [Figure(name, getattr(order, COLUMNS[name]), figures[name]) for name in COLUMNS], at)


def _restored(order: Order) -> pricing.Parts:
    return pricing.Parts(
        lines=list(order.line_items.all()),
        charges=list(order.charges.all()),
        discounts=list(order.discounts.all()),
        taxes=list(order.tax_breakdowns.all()),
    )


Accounted = dict[tuple[str, str, str], int]
"""What the ledger says a row moved: by figure, and by the row's type and id."""


def _settled(
    entries: Iterable[LedgerEntry], events: Iterable[Event], claims: Iterable[Claim]
) -> tuple[dict[str, list[Term]], Accounted]:
    """Return the terms of what was settled, one per entry, and what they come to for each row."""
    known = {event.id: event for event in events}
    resources = {claim.source_id: (claim.resource_type, claim.resource_id) for claim in claims}
    terms: dict[str, list[Term]] = {"paid": [], "refunded": [], "charged_back": [], "credit": []}
    accounted: Accounted = defaultdict(int)
    for entry in entries:
        figure, sign = _figure_of(entry)
        if not figure:
            continue
        event = known[entry.event_id]
        resource = resources.get(entry.source_id) or _subject(event)
        terms[figure].append(Term(entry.kind, sign * entry.amount, *resource, event))
        accounted[figure, *resource] += sign * entry.amount
    return terms, accounted


def _figure_of(entry: LedgerEntry) -> tuple[str, int]:
    for figure, kinds in SETTLED.items():
        if sign := kinds.get(entry.kind):
            return figure, sign
    if entry.kind.startswith(("credit_", "write_off")):
        return "credit", 1 if entry.credit == RECEIVABLE else -1
    return "", 0


def _subject(event: Event) -> tuple[str, str]:
    return RESOURCES.get(event.subject_type, event.subject_type), event.subject_id


def _sold(entries: Iterable[LedgerEntry]) -> dict[str, int]:
    """Return what the ledger recognises as sold, by kind."""
    sold: dict[str, int] = dict.fromkeys(("sale_goods", "sale_charge", "sale_tip", "sale_tax"), 0)
    for entry in entries:
        if entry.kind in sold:
            sold[entry.kind] += entry.amount if entry.debit == RECEIVABLE else -entry.amount
    return sold


def _hold_together(order: Order, figures: dict[str, list[Term]], sold: dict[str, int], by_rows: dict[str, int]) -> None:
    """Hold every figure against the sum of its terms, and what was sold by the rows against the ledger."""
    wrong = {}
    for name, terms in figures.items():
        summed, shown = sum(term.amount for term in terms), getattr(order, COLUMNS[name])
        if summed != shown:
            wrong[name] = {"shown": shown, "terms": summed}
    for kind, amount in by_rows.items():
        if sold[kind] != amount:
            wrong[kind] = {"rows": amount, "ledger": sold[kind]}
    _refuse(order, wrong)


def _hold_against_rows(order: Order, accounted: Accounted, claims: Iterable[Claim]) -> None:
    """Hold what the ledger says each row moved against what the row says."""
    claimed: Accounted = defaultdict(int)
    for claim in claims:
        claimed[claim.figure, claim.resource_type, claim.resource_id] += claim.amount
    wrong = {
        " ".join(key): {"rows": claimed.get(key, 0), "ledger": accounted.get(key, 0)}
        for key in {**claimed, **accounted}
        if claimed.get(key, 0) != accounted.get(key, 0)
    }
    _refuse(order, wrong)


def _refuse(order: Order, wrong: dict[str, dict[str, int]]) -> None:
    if wrong:
        log.error("explanation.does_not_add_up", order_id=order.id, differences=wrong)
        raise ExplanationDoesNotAddUp()
