"""
Paying an invoice in parts. Pure functions: what a schedule may look like, what each part of it comes to, and what of
it is settled.

Nothing of that is stored but each part's total, fixed at issue: what came in fills the parts from the first to the
last, and after them the late fees, from the oldest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flint.errors import InvalidInput
from flint.money import half_up
from invoices.due import day_of, end_of_day, start_of_day
from orders.amounts import HUNDRED_PERCENT

MOST_ENTRIES = 14

SPECIFICATIONS = {
    "deposit": ("fixed", "percentage"),
    "installment": ("fixed", "percentage"),
    "balance": ("remaining_balance",),
}
DUES = {"deposit": ("at_issue", "date"), "installment": ("date",), "balance": ("invoice_due_date", "date")}


class InvoiceScheduleInvalid(InvalidInput):
    code = "INVOICE_SCHEDULE_INVALID"
    message = "The parts of the invoice do not fit together."


@dataclass(frozen=True, slots=True)
class Planned:
    """
    One part as it was asked for. ``fixed`` is in minor units, ``percent`` in steps of 0.0001 of the invoice's total.

    Exactly one of them is given, or neither for what remains. ``date`` is when it is due, if it names a day.
    """

    kind: str
    due: str
    fixed: int | None = None
    percent: int | None = None
    date: datetime | None = None

    @property
    def is_rest(self) -> bool:
        return self.fixed is None and self.percent is None


@dataclass(frozen=True, slots=True)
class Part:
    """What one part comes to, in minor units, and when it is due; ``None`` while that is not known yet."""

    amount: int
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Filled:
    """What of one part is settled and how, in minor units. The four amounts below are its total."""

    total: int
    paid: int
    credit: int
    written_off: int

    @property
    def settled(self) -> int:
        return self.paid + self.credit + self.written_off

    @property
    def outstanding(self) -> int:
        return self.total - self.settled


def planned_of(entry: Mapping[str, Any]) -> Planned:
    """
    Read one entry as it is stored: the contract's objects, with percents in whole steps and moments as ISO text.

    :raises InvoiceScheduleInvalid: if its kind, amount and due date do not go together.
    """
    kind, amount, due = entry["kind"], entry["amount_specification"], entry["due"]
    if amount["type"] not in SPECIFICATIONS[kind]:
        raise InvoiceScheduleInvalid(f"The amount of a {kind} is {_either(SPECIFICATIONS[kind])}.")
    if due["type"] not in DUES[kind]:
        raise InvoiceScheduleInvalid(f"A {kind} is due by {_either(DUES[kind])}.")
    date = due.get("due_at") if due["type"] == "date" else None
    return Planned(
        kind=kind,
        due=due["type"],
        fixed=amount["amount_money"]["amount"] if amount["type"] == "fixed" else None,
        percent=amount["percent"] if amount["type"] == "percentage" else None,
        date=datetime.fromisoformat(date) if isinstance(date, str) else date,
    )


def check_shape(entries: Sequence[Planned]) -> None:
    """
    Refuse a schedule that can never be one, whatever the invoice comes to.

    :raises InvoiceScheduleInvalid: if it is too long, has a deposit that is not the first or a balance that is not the
        last, asks for nothing somewhere, for more than all of the invoice in percent, or if its dates do not ascend.
    """
    if len(entries) > MOST_ENTRIES:
        raise InvoiceScheduleInvalid(f"An invoice is paid in {MOST_ENTRIES} parts at most.")
    for index, entry in enumerate(entries):
        if entry.kind == "deposit" and index:
            raise InvoiceScheduleInvalid("There is one deposit at most, and it comes first.")
        if entry.kind == "balance" and index < len(entries) - 1:
            raise InvoiceScheduleInvalid("There is one balance at most, and it comes last.")
        if entry.fixed is not None and entry.fixed < 1 or entry.percent is not None and entry.percent < 1:
            raise InvoiceScheduleInvalid("Every part is more than nothing.")
    if sum(entry.percent or 0 for entry in entries) > HUNDRED_PERCENT:
        raise InvoiceScheduleInvalid("The parts are more than 100 % of the invoice.")
    dates = [entry.date for entry in entries if entry.date is not None]
    if any(later <= earlier for earlier, later in zip(dates, dates[1:], strict=False)):
        raise InvoiceScheduleInvalid("Each part is due after the one before.")


def amounts_of(entries: Sequence[Planned], total: int) -> list[int]:
    """
    Return what each part of a total comes to, in minor units.

    Percents are of the total; together they are rounded half up and shared by largest remainder, ties to the earlier.
    A balance is what remains. Without one the parts must come to the total exactly.

    :raises InvoiceScheduleInvalid: if they do not, or if a part comes to nothing or less.
    """
    fixed = sum(entry.fixed or 0 for entry in entries)
    percents = [entry.percent or 0 for entry in entries]
    shared = _percentages(percents, total)
    amounts = [own if entry.fixed is None else entry.fixed for entry, own in zip(entries, shared, strict=True)]
    rest = total - sum(amounts)
    if entries and entries[-1].is_rest:
        amounts[-1] = rest
    elif entries and fixed * HUNDRED_PERCENT + total * sum(percents) != total * HUNDRED_PERCENT:
        raise InvoiceScheduleInvalid("The parts do not come to the invoice's total. Let the last one be a balance.")
    if any(amount < 1 for amount in amounts):
        raise InvoiceScheduleInvalid("A part comes to nothing: the others take all of the invoice.")
    return amounts


def resolve(
    entries: Sequence[Planned], total: int, *, issued_at: datetime | None, due_at: datetime | None, timezone: str
) -> list[Part]:
    """
    Return what each part of an invoice comes to and when it is due: at the end of its day in the invoice's time zone.

    :param issued_at: None for a draft, whose issue is not known yet.
    :param due_at: when the invoice as a whole is due, if that is known.
    :raises InvoiceScheduleInvalid: if the parts do not fit together, or, at issue, if one has no due date.
    """
    check_shape(entries)
    amounts = amounts_of(entries, total)
    dues = [_due_at(entry, issued_at, due_at, timezone) for entry in entries]
    if issued_at is not None and None in dues:
        raise InvoiceScheduleInvalid("The balance is due with the invoice, which has no due date.")
    known = [each for each in dues if each is not None]
    if any(later <= earlier for earlier, later in zip(known, known[1:], strict=False)):
        raise InvoiceScheduleInvalid("Each part is due after the one before.")
    return [Part(amount, due) for amount, due in zip(amounts, dues, strict=True)]


def fill(totals: Iterable[int], *, paid: int, credit: int = 0, written_off: int = 0) -> list[Filled]:
    """
    Return what of each part is settled: money that was kept first, then credit, then what was given up.

    Each kind fills the parts from the first to the last; what is more than all of them stays unsaid.
    """
    filled = []
    left = [max(paid, 0), max(credit, 0), max(written_off, 0)]
    for total in totals:
        open_amount, taken = total, []
        for index, amount in enumerate(left):
            part = min(amount, open_amount)
            left[index] -= part
            open_amount -= part
            taken.append(part)
        filled.append(Filled(total, *taken))
    return filled


def status_of(part: Filled, due_at: datetime | None, *, at: datetime, timezone: str) -> str:
    """
    Return what a part stands at: ``satisfied`` however it was settled, else ``overdue`` from the end of its due day on.

    Before that it is ``partially_satisfied`` once anything of it is settled, ``due`` from the beginning of its due day
    on, and ``pending`` until then.
    """
    if not part.outstanding:
        return "satisfied"
    if is_overdue(due_at, at=at):
        return "overdue"
    if part.settled:
        return "partially_satisfied"
    return "due" if is_due(due_at, at=at, timezone=timezone) else "pending"


def is_overdue(due_at: datetime | None, *, at: datetime) -> bool:
    """Whether a due date has passed."""
    return due_at is not None and at > due_at


def is_due(due_at: datetime | None, *, at: datetime, timezone: str) -> bool:
    """Whether the day on which something is due has begun."""
    return due_at is not None and at >= start_of_day(day_of(due_at, timezone), timezone)


def _percentages(percents: Sequence[int], total: int) -> list[int]:
    """Return the percentages of a total: each rounded one way or the other, so that the sum is rounded half up."""
    parts = [total * percent // HUNDRED_PERCENT for percent in percents]
    missing = half_up(total * sum(percents), HUNDRED_PERCENT) - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda i: (-(total * percents[i] % HUNDRED_PERCENT), i))
    for index in by_remainder[:missing]:
        parts[index] += 1
    return parts


def _due_at(entry: Planned, issued_at: datetime | None, due_at: datetime | None, timezone: str) -> datetime | None:
    if entry.due == "date" and entry.date is not None:
        return end_of_day(day_of(entry.date, timezone), timezone)
    if entry.due == "at_issue":
        return None if issued_at is None else end_of_day(day_of(issued_at, timezone), timezone)
    return due_at


def _either(words: Sequence[str]) -> str:
    return " or ".join(repr(word) for word in words)
