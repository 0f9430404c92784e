"""What an invoice asks for at a moment: what of its parts and late fees is settled, due or overdue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from invoices import schedules
from invoices.amounts import InvoiceAmounts
from invoices.models import Invoice, InvoiceLateFee, InvoiceScheduleEntry
from invoices.models.invoices import S
from invoices.schedules import Filled


@dataclass(frozen=True, slots=True)
class EntryStanding:
    """One part of an invoice at a moment."""

    entry: InvoiceScheduleEntry
    filled: Filled
    status: str
    is_due: bool

    @property
    def is_overdue(self) -> bool:
        return self.status == "overdue"


@dataclass(frozen=True, slots=True)
class FeeStanding:
    """One late fee at a moment, as far as it was not waived. A credit that closes it counts as paid."""

    fee: InvoiceLateFee
    filled: Filled

    @property
    def paid(self) -> int:
        return self.filled.paid + self.filled.credit


@dataclass(frozen=True, slots=True)
class Due:
    """Something that is due by a date: a part of an invoice, or the invoice as a whole; what is open of it."""

    entry: InvoiceScheduleEntry | None
    due_at: datetime | None
    outstanding: int

    @property
    def entry_id(self) -> str | None:
        return self.entry.pk if self.entry else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What an invoice asks for at a moment, amounts in minor units of its currency."""

    entries: Sequence[EntryStanding]
    fees: Sequence[FeeStanding]
    outstanding: int
    currently_due: int
    overdue: int
    dues: Sequence[Due]

    @property
    def is_overdue(self) -> bool:
        return self.overdue > 0

    @property
    def next_entry(self) -> EntryStanding | None:
        """The part that is to be paid next, due already or not."""
        return next((each for each in self.entries if each.filled.outstanding), None)


def asked_of(invoice: Invoice, amounts: InvoiceAmounts, *, at: datetime) -> Asked:
    """
    Return what an invoice asks for at a moment.

    Reads its entries and late fees, unless they were prefetched as ``schedule_entries`` and ``late_fees``. Without a
    schedule all that is outstanding is due from issue on. With one it is overdue when less came in than what should
    have by then, and its own due date says nothing.
    """
    entries, fees = entries_of(invoice), fees_of(invoice)
    entry_totals = _totals_of(invoice, entries, amounts)
    totals = [*entry_totals, *(fee.amount - fee.waived_amount for fee in fees)]
    if not entries:
        totals.insert(0, amounts.total)
    filled = schedules.fill(totals, **_settled(invoice, amounts, sum(totals)))
    parts = [_entry(invoice, entry, part, at) for entry, part in zip(entries, filled[: len(entries)], strict=True)]
    fee_standings = [FeeStanding(fee, part) for fee, part in zip(fees, filled[len(filled) - len(fees) :], strict=True)]
    asks = amounts.outstanding if invoice.is_asking else 0
    later = sum(each.filled.outstanding for each in parts if not each.is_due)
    return Asked(
        entries=parts,
        fees=fee_standings,
        outstanding=asks,
        currently_due=max(asks - later, 0),
        overdue=max(asks - _not_yet_overdue(invoice, entries, amounts, at), 0),
        dues=[Due(each.entry, each.entry.due_at, min(each.filled.outstanding, asks)) for each in parts]
        or [Due(None, invoice.due_at, asks)],
    )


def entries_of(invoice: Invoice) -> list[InvoiceScheduleEntry]:
    """Return the parts of an invoice from the first to the last."""
    return sorted(invoice.schedule_entries.all(), key=lambda entry: entry.position)


def fees_of(invoice: Invoice) -> list[InvoiceLateFee]:
    """Return the late fees of an invoice from the oldest to the newest."""
    if invoice.issued_at is None:
        return []
    return sorted(invoice.late_fees.all(), key=lambda fee: (fee.assessed_at, fee.pk))


def _totals_of(invoice: Invoice, entries: Sequence[InvoiceScheduleEntry], amounts: InvoiceAmounts) -> list[int]:
    """Return what the parts come to: as fixed at issue, and for a draft as it would be if it were issued now."""
    stored = [entry.total_amount for entry in entries]
    if invoice.status != S.DRAFT or sum(stored) == amounts.total:
        return stored
    try:
        return schedules.amounts_of([planned_of(entry) for entry in entries], amounts.total)
    except schedules.InvoiceScheduleInvalid:
        # The order was changed so that they no longer fit; issue will say so.
        return stored


def _entry(invoice: Invoice, entry: InvoiceScheduleEntry, part: Filled, at: datetime) -> EntryStanding:
    if invoice.status == S.VOID:
        return EntryStanding(entry, part, "pending", is_due=False)
    status = schedules.status_of(part, entry.due_at, at=at, timezone=invoice.timezone)
    return EntryStanding(entry, part, status, schedules.is_due(entry.due_at, at=at, timezone=invoice.timezone))


def planned_of(entry: InvoiceScheduleEntry) -> schedules.Planned:
    """Read a stored entry as it was asked for."""
    return schedules.planned_of(
        {"kind": entry.kind, "amount_specification": entry.amount_specification, "due": entry.due}
    )


def _settled(invoice: Invoice, amounts: InvoiceAmounts, total: int) -> dict[str, int]:
    """Say how what is no longer outstanding was settled. A void invoice asks for nothing; nothing came in for it."""
    if invoice.status in (S.DRAFT, S.VOID):
        return {"paid": 0}
    settled = total - amounts.outstanding
    written_off = min(amounts.written_off, settled)
    credit = min(amounts.credit, settled - written_off)
    return {"paid": settled - written_off - credit, "credit": credit, "written_off": written_off}


def _not_yet_overdue(
    invoice: Invoice, entries: Sequence[InvoiceScheduleEntry], amounts: InvoiceAmounts, at: datetime
) -> int:
    """Return the part of the whole that need not have come in yet, in minor units."""
    if entries:
        return sum(entry.total_amount for entry in entries if not schedules.is_overdue(entry.due_at, at=at))
    return 0 if schedules.is_overdue(invoice.due_at, at=at) else amounts.outstanding
