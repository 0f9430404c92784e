"""
The ledger: every movement of an order's money between two accounts, and the only writer of its entries.

``receivable`` is what the customer owes on the order, so its balance is always the order's balance. A kind fixes both
accounts; nothing else can be posted. Promised and done are two entries, and a mistake is corrected by adding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flint.events.models import Event
from orders.models import LedgerEntry, Order

RECEIVABLE = "receivable"
SALES = "sales"
CHARGES = "charges"
TIPS = "tips_payable"
TAX = "tax_payable"
PROCESSOR = "processor"
CASH = "cash"
BANK = "bank"
FEES = "processing_fees"
ADJUSTMENTS = "processor_adjustments"
WRITE_OFFS = "write_offs"
DISPUTE_LOSSES = "dispute_losses"
REFUNDS_RESERVED = "refunds_reserved"
REFUNDS_DUE = "refunds_due"

# kind: (debit, credit).
KINDS: dict[str, tuple[str, str]] = {
    "sale_goods": (RECEIVABLE, SALES),
    "sale_charge": (RECEIVABLE, CHARGES),
    "sale_tip": (RECEIVABLE, TIPS),
    "sale_tax": (RECEIVABLE, TAX),
    "capture": (PROCESSOR, RECEIVABLE),
    "manual_payment": (CASH, RECEIVABLE),
    "manual_payment_reversed": (RECEIVABLE, CASH),
    "refund_promised": (REFUNDS_RESERVED, REFUNDS_DUE),
    "refund_released": (REFUNDS_DUE, REFUNDS_RESERVED),
    "refund": (RECEIVABLE, PROCESSOR),
    "refund_reversed": (PROCESSOR, RECEIVABLE),
    "credit_goods": (SALES, RECEIVABLE),
    "credit_charge": (CHARGES, RECEIVABLE),
    "credit_tip": (TIPS, RECEIVABLE),
    "credit_tax": (TAX, RECEIVABLE),
    "credit_goods_reversed": (RECEIVABLE, SALES),
    "credit_charge_reversed": (RECEIVABLE, CHARGES),
    "credit_tip_reversed": (RECEIVABLE, TIPS),
    "credit_tax_reversed": (RECEIVABLE, TAX),
    "write_off": (WRITE_OFFS, RECEIVABLE),
    "write_off_reversed": (RECEIVABLE, WRITE_OFFS),
    "dispute_withdrawn": (RECEIVABLE, PROCESSOR),
    "dispute_reinstated": (PROCESSOR, RECEIVABLE),
    "dispute_excess": (DISPUTE_LOSSES, PROCESSOR),
    "dispute_excess_reinstated": (PROCESSOR, DISPUTE_LOSSES),
    "fee": (FEES, PROCESSOR),
    "adjustment": (PROCESSOR, ADJUSTMENTS),
    "payout": (BANK, PROCESSOR),
    "payout_returned": (PROCESSOR, BANK),
}

SIGNED = frozenset({"sale_goods", "sale_charge", "sale_tip", "sale_tax", "fee", "adjustment"})
"""
Kinds that also run backwards: a negative amount is posted with the accounts exchanged. An edit may lower what was
recognised, and a processor may give a fee back.
"""


_followers: list[Callable[[Order, Event], None]] = []


def when_posted(follow: Callable[[Order, Event], None]) -> Callable[[Order, Event], None]:
    """
    Register who follows what a locked order stands at, before the order is saved.

    It is told after the movements of ``event`` were posted, may record events of its own, and posts nothing.
    """
    _followers.append(follow)
    return follow


@dataclass(frozen=True, slots=True)
class Posting:
    """One movement to post: minor units of the order's currency, and the row that it comes from."""

    kind: str
    amount: int
    source_id: str


def post(order: Order, event: Event, postings: Sequence[Posting]) -> list[LedgerEntry]:
    """
    Write entries for an order that is locked, in one statement; movements of nothing are left out.

    Counts them on the order, which the caller saves. Whoever follows the order's amounts is told.

    :raises ValueError: on an amount below zero for a kind that only runs forward.
    """
    entries = []
    for posting in postings:
        if entry := _entry(posting):
            order.entry_count += 1
            entry.environment_id, entry.order_id, entry.event = order.environment_id, order.id, event
            entry.sequence, entry.currency = order.entry_count, order.currency
            entry.created_at = event.created_at
            entries.append(entry)
    LedgerEntry.objects.bulk_create(entries)
    for follow in _followers:
        follow(order, event)
    return entries


def post_apart(event: Event, postings: Sequence[Posting], *, currency: str) -> list[LedgerEntry]:
    """Write entries of the environment's own, for what no order can be named for. Otherwise as :func:`post`."""
    entries = []
    for posting in postings:
        if entry := _entry(posting):
            entry.environment_id, entry.event, entry.currency = event.environment_id, event, currency
            entry.created_at = event.created_at
            entries.append(entry)
    return LedgerEntry.objects.bulk_create(entries)


def _entry(posting: Posting) -> LedgerEntry | None:
    if not posting.amount:
        return None
    debit, credit = KINDS[posting.kind]
    if posting.amount < 0:
        if posting.kind not in SIGNED:
            raise ValueError(f"{posting.kind} cannot move {posting.amount}")
        debit, credit = credit, debit
    return LedgerEntry(
        kind=posting.kind, debit=debit, credit=credit, amount=abs(posting.amount), source_id=posting.source_id
    )
