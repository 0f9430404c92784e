"""The reports about what went back, and which parts of an order a refund gives back."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from flint.reports.registry import Column, ReportType, Row, Scope, Totals, declare
from orders.models import LedgerEntry
from orders.reports.changes import CHARGE, LINE, TAX, Allocation, Worth, allocates
from orders.reports.reading import select, walk
from refunds.models import RefundAdjustment, RefundAllocation

BATCH = 500

COLUMNS = (
    Column("booked_at", "moment", "When it was booked."),
    Column("entry_type", "text", "`refund`, or `refund_reversed` for one that failed after it had gone out."),
    Column("refund_id", "text", "The refund."),
    Column("refund_leg_id", "text", "The part of it that went back through one payment."),
    Column("payment_intent_id", "text", "The payment that it went back through."),
    Column("order_id", "text", "The order; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("origin", "text", "`flint`, `processor` for one found there, `surplus` for money beyond what was owed."),
    Column("item_type", "text", "`line_item`, `charge`, `tax` or `tip`; `unallocated` for what is for no item."),
    Column("item_id", "text", "The item that was given back."),
    Column("quantity", "number", "How many units of it."),
    Column("net", "money", "What went back for it, without tax."),
    Column("tax", "money", "The tax within what went back."),
    Column("amount", "money", "What went back; below nothing when it came back."),
)

MOVED = """
    SELECT entry.created_at, entry.kind, leg.refund_id, leg.id, leg.payment_intent_id, o.id, o.order_number,
        o.is_hidden, refund.origin, CASE entry.kind WHEN 'refund' THEN entry.amount ELSE -entry.amount END,
        COALESCE((
            SELECT SUM(CASE tip.kind WHEN 'credit_tip' THEN tip.amount ELSE -tip.amount END)
            FROM orders_ledgerentry tip
            WHERE tip.event_id = entry.event_id AND tip.source_id = leg.id AND tip.kind LIKE 'credit\\_tip%%'
        ), 0)
    FROM orders_ledgerentry entry
    JOIN refunds_refundleg leg ON leg.id = entry.source_id
    JOIN refunds_refund refund ON refund.id = leg.refund_id
    JOIN orders_order o ON o.id = entry.order_id
    WHERE entry.environment_id = %(environment)s AND entry.currency = %(currency)s
        AND entry.created_at >= %(start)s AND entry.created_at < %(end)s
        AND entry.kind IN ('refund', 'refund_reversed')
    ORDER BY entry.created_at, entry.id
"""


@allocates
def allocations_of(scope: Scope, source_ids: Sequence[str]) -> dict[str, list[Allocation]]:
    """Return what the legs of refunds give back, part by part."""
    splits: dict[tuple[str, str], dict[str, int]] = {}
    adjustments = RefundAdjustment.objects.using(scope.using).filter(leg_id__in=source_ids, type="tax_adjustment")
    for row in adjustments.order_by("id"):
        splits[row.leg_id, row.line_item_id] = {each["tax_breakdown_id"]: each["amount"] for each in row.tax_split}
    found: dict[str, list[Allocation]] = defaultdict(list)
    rows = RefundAllocation.objects.using(scope.using).filter(leg_id__in=source_ids)
    for row in rows.order_by("leg_id", "position", "id"):
        type, item_id = _item_of(row)
        if not type:
            continue
        tax = row.tax_amount + row.inclusive_tax_amount
        worth = Worth(row.quantity, row.subtotal_amount, row.discount_amount, row.amount - tax, tax)
        found[row.leg_id].append(Allocation(type, item_id, worth, splits.get((row.leg_id, item_id), {})))
    return found


def _item_of(row: RefundAllocation) -> tuple[str, str]:
    if row.line_item_id:
        return LINE, row.line_item_id
    if row.charge_id:
        return CHARGE, row.charge_id
    return (TAX, row.tax_breakdown_id) if row.tax_breakdown_id else ("", "")


def rows(scope: Scope) -> Iterator[Row]:
    """Yield what went back, in the order in which it was booked, split over what it was for."""
    moved = walk(scope, MOVED)
    while batch := list(islice(moved, BATCH)):
        allocations = allocations_of(scope, [row[3] for row in batch])
        for row in batch:
            yield from _split(row, allocations.get(row[3], []))


def _split(row: tuple[Any, ...], parts: list[Allocation]) -> Iterator[Row]:
    booked_at, kind, refund_id, leg_id, payment_id, order_id, number, is_hidden, origin, amount, tip = row
    shown = (None, None) if is_hidden else (order_id, number)
    head = (booked_at, kind, refund_id, leg_id, payment_id, *shown, origin)
    sign, rest = (1 if amount > 0 else -1), int(amount)
    for part in parts:
        net, tax = sign * part.worth.net, sign * part.worth.tax
        rest -= net + tax
        yield (*head, part.type, part.item_id, sign * part.worth.quantity, net, tax, net + tax)
    if tip:
        tip = int(tip)
        rest -= tip
        yield (*head, "tip", None, None, tip, 0, tip)
    if rest:
        yield (*head, "unallocated", None, None, rest, 0, rest)


def controls(scope: Scope) -> Totals:
    """Sum up by how much each event of the interval changed what its order's history tells to be refunded."""
    ((amount,),) = select(
        scope,
        """
        SELECT COALESCE(SUM(told.refunded_amount - COALESCE(before.refunded_amount, 0)), 0)
        FROM events_event told
        LEFT JOIN events_event before ON before.order_id = told.order_id AND before.sequence = told.sequence - 1
        WHERE told.environment_id = %(environment)s AND told.currency = %(currency)s
            AND told.created_at >= %(start)s AND told.created_at < %(end)s
        """,
    )
    return {"amount": int(amount)}


REFUNDS = declare(
    ReportType(
        name="refunds_itemized_v1",
        title="Refunds",
        about="One row for each item that money went back for within the interval, and one for what no item is named "
        "for, such as money beyond what was owed.",
        columns=COLUMNS,
        rows=rows,
        controls=controls,
        watches=(LedgerEntry,),
    )
)
