"""What is owed at a moment, by how long it has been owed."""

from collections.abc import Iterator

from flint.reports.registry import ROWS, Column, ReportType, Row, Scope, Totals, declare
from orders.models import LedgerEntry
from orders.reports.reading import select, walk

AGES = ((30, "0 to 30 days"), (60, "31 to 60 days"), (90, "61 to 90 days"))
OLDER = "more than 90 days"

COLUMNS = (
    Column("order_id", "text", "The order; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("ordered_at", "moment", "When the order was made."),
    Column("days", "number", "How many days ago that was, by the calendar of the time zone."),
    Column("age", "text", "`0 to 30 days`, `31 to 60 days`, `61 to 90 days` or `more than 90 days`."),
    Column("owed", "money", "What was owed at the end of the interval."),
)

OWED = """
    SELECT o.id, o.order_number, o.is_hidden, o.created_at, owed.amount FROM (
        SELECT order_id, SUM(CASE WHEN debit = 'receivable' THEN amount ELSE -amount END) AS amount
        FROM orders_ledgerentry
        WHERE environment_id = %(environment)s AND currency = %(currency)s AND created_at < %(end)s
            AND (debit = 'receivable' OR credit = 'receivable')
        GROUP BY order_id
    ) AS owed JOIN orders_order o ON o.id = owed.order_id
    WHERE owed.amount > 0 ORDER BY o.created_at, o.id
"""


def rows(scope: Scope) -> Iterator[Row]:
    """Yield the orders that owed something at the end of the interval, those that have owed longest first."""
    today = scope.local(scope.end).date()
    for order_id, number, is_hidden, ordered_at, amount in walk(scope, OWED):
        days = max((today - scope.local(ordered_at).date()).days, 0)
        shown = (None, None) if is_hidden else (order_id, number)
        yield (*shown, ordered_at, days, age(days), int(amount))


def age(days: int) -> str:
    """Say how long something has been owed."""
    return next((name for most, name in AGES if days <= most), OLDER)


def controls(scope: Scope) -> Totals:
    """Sum up what the last event of each order before the end tells of its balance."""
    ((count, owed),) = select(
        scope,
        """
        SELECT COUNT(*), COALESCE(SUM(balance_amount), 0) FROM (
            SELECT DISTINCT ON (order_id) balance_amount FROM events_event
            WHERE environment_id = %(environment)s AND currency = %(currency)s AND order_id IS NOT NULL
                AND created_at < %(end)s
            ORDER BY order_id, sequence DESC
        ) AS last WHERE balance_amount > 0
        """,
    )
    return {ROWS: count, "owed": int(owed)}


RECEIVABLES = declare(
    ReportType(
        name="receivables_by_age_v1",
        title="Receivables by age",
        about="What was owed at the end of the interval, order by order, and for how long by then. The start of the "
        "interval makes no difference.",
        columns=COLUMNS,
        rows=rows,
        controls=controls,
        watches=(LedgerEntry,),
        is_of_a_moment=True,
    )
)
