"""The one history of an order: every event oldest first, with the ledger entries it caused. Two statements a page."""

from dataclasses import dataclass, field
from typing import Any

from flint.admin import words
from flint.events.models import Event
from flint.money import Money
from orders.admin.words import describe
from orders.models import LedgerEntry, Order

PAGE = 500
ACTORS = {"key": "API key", "staff": "Staff", "customer": "Buyer", "processor": "Processor", "system": "Flint"}
SHOWN_APART = {"text"}


@dataclass
class Row:
    """One event as the page shows it."""

    event: Event
    actor_kind: str
    actor_label: str
    text: str
    note: str
    amount: Money | None
    delta: Money
    balance: Money
    facts: list[tuple[str, Any]]
    after: list[tuple[str, Money]]
    entries: list["EntryRow"] = field(default_factory=list)


@dataclass
class EntryRow:
    """One ledger entry below its event."""

    sequence: int
    kind: str
    debit: str
    credit: str
    money: Money


@dataclass
class History:
    """One page of an order's history; nearly always there is but one."""

    rows: list[Row]
    total: int
    page: int
    pages: int

    @property
    def first(self) -> int:
        return self.rows[0].event.sequence if self.rows else 0

    @property
    def last(self) -> int:
        return self.rows[-1].event.sequence if self.rows else 0


def history_of(order: Order, page: int = 1) -> History:
    """Return a page of an order's history, by event number; events are numbered without gaps, so none is missing."""
    pages = max(-(-order.event_count // PAGE), 1)
    page = min(max(page, 1), pages)
    numbers = (PAGE * (page - 1) + 1, min(PAGE * page, order.event_count))
    events = Event.objects.filter(order_id=order.id, sequence__range=numbers).order_by("sequence")
    rows = {event.id: _row(event) for event in events}
    entries = LedgerEntry.objects.filter(
        order_id=order.id, event__order_id=order.id, event__sequence__range=numbers
    ).order_by("sequence")
    for entry in entries:
        # An event recorded between the two reads is on the next view of the page, and its entries with it.
        if entry.event_id in rows:
            rows[entry.event_id].entries.append(_entry_row(entry))
    return History(rows=list(rows.values()), total=order.event_count, page=page, pages=pages)


def _row(event: Event) -> Row:
    label = event.actor_label or event.actor_id
    kind = ACTORS.get(event.actor_kind, words(event.actor_kind))
    return Row(
        event=event,
        actor_kind=kind,
        actor_label="" if label == kind else label,
        text=describe(event),
        note=event.data.get("text", ""),
        amount=_amount(event),
        delta=Money(event.balance_delta_amount, event.currency),
        balance=Money(event.balance_amount, event.currency),
        facts=_facts(event),
        after=[
            (name, Money(amount, event.currency))
            for name, amount in (
                ("Total", event.total_amount),
                ("Paid", event.paid_amount),
                ("Refunded", event.refunded_amount),
                ("Refund pending", event.refund_pending_amount),
                ("Credited", event.credit_amount),
                ("Charged back", event.charged_back_amount),
            )
        ],
    )


def _amount(event: Event) -> Money | None:
    for key in ("amount", "applied_amount", "written_off_amount"):
        if key in event.data:
            return Money(event.data[key], event.currency)
    return Money(event.total_amount, event.currency) if event.type == "order.created" else None


def _facts(event: Event) -> list[tuple[str, Any]]:
    facts = [
        ("Event", f"{event.type} · {event.id}"),
        ("Subject", f"{words(event.subject_type)} {event.subject_id}"),
        ("Actor", " · ".join(filter(None, (event.actor_kind, event.actor_label, event.actor_id)))),
        ("Request", event.request_id),
        ("Idempotency key", event.command_key),
    ]
    for key, value in event.data.items():
        if key not in SHOWN_APART:
            facts.append((words(key.removesuffix("_amount")), _fact(key, value, event.currency)))
    return [(name, value) for name, value in facts if value not in ("", None)]


def _fact(key: str, value: Any, currency: str) -> Any:
    if (key == "amount" or key.endswith("_amount")) and isinstance(value, int):
        return Money(value, currency)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def _entry_row(entry: LedgerEntry) -> EntryRow:
    return EntryRow(
        sequence=entry.sequence,
        kind=words(entry.kind),
        debit=words(entry.debit),
        credit=words(entry.credit),
        money=entry.money,
    )
