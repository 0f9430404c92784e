"""What was sold, collected and given back, order by order: the ledger folded by order, held against the history."""

from collections.abc import Iterator

from flint.reports.registry import ROWS, Column, ReportType, Row, Scope, Totals, declare
from orders.models import LedgerEntry
from orders.reports.reading import select, walk

COLUMNS = (
    Column("order_id", "text", "The order; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("ordered_at", "moment", "When the order was made."),
    Column("goods", "money", "Goods and services sold, after discounts, without tax."),
    Column("charges", "money", "Fees sold, after discounts, without tax."),
    Column("tips", "money", "Tips."),
    Column("tax", "money", "Tax on all of it."),
    Column("sold", "money", "What the order came to be worth: the four before it."),
    Column("credited", "money", "What is no longer owed of it: returned goods and credits."),
    Column("net_sold", "money", "Sold less credited."),
    Column("written_off", "money", "What will not be collected."),
    Column("paid", "money", "What came in."),
    Column("refunded", "money", "What went back."),
    Column("charged_back", "money", "What disputes took, less what they gave back."),
    Column("net_paid", "money", "Paid less refunded and charged back."),
    Column("owed", "money", "By how much the order came to owe more."),
)

FOLD = """
    SELECT o.id, o.order_number, o.created_at, o.is_hidden,
        COALESCE(SUM(moved.amount) FILTER (WHERE kind = 'sale_goods'), 0),
        COALESCE(SUM(moved.amount) FILTER (WHERE kind = 'sale_charge'), 0),
        COALESCE(SUM(moved.amount) FILTER (WHERE kind = 'sale_tip'), 0),
        COALESCE(SUM(moved.amount) FILTER (WHERE kind = 'sale_tax'), 0),
        COALESCE(-SUM(moved.amount) FILTER (WHERE kind LIKE 'credit\\_%%'), 0),
        COALESCE(-SUM(moved.amount) FILTER (WHERE kind LIKE 'write\\_off%%'), 0),
        COALESCE(-SUM(moved.amount) FILTER (WHERE kind = 'capture' OR kind LIKE 'manual\\_payment%%'), 0),
        COALESCE(SUM(moved.amount) FILTER (WHERE kind IN ('refund', 'refund_reversed')), 0),
        COALESCE(SUM(moved.amount) FILTER (WHERE kind IN ('dispute_withdrawn', 'dispute_reinstated')), 0),
        COALESCE(SUM(moved.amount), 0)
    FROM (
        SELECT order_id, kind, CASE WHEN debit = 'receivable' THEN amount ELSE -amount END AS amount
        FROM orders_ledgerentry
        WHERE environment_id = %(environment)s AND currency = %(currency)s
            AND created_at >= %(start)s AND created_at < %(end)s
            AND (debit = 'receivable' OR credit = 'receivable')
    ) AS moved JOIN orders_order o ON o.id = moved.order_id
    GROUP BY o.id ORDER BY o.id
"""

TOLD = """
    SELECT COUNT(DISTINCT told.order_id) FILTER (WHERE EXISTS (
            SELECT FROM orders_ledgerentry entry
            WHERE entry.event_id = told.id AND 'receivable' IN (entry.debit, entry.credit)
        )),
        COALESCE(SUM(told.total_amount - COALESCE(before.total_amount, 0)), 0),
        COALESCE(SUM(told.credit_amount - COALESCE(before.credit_amount, 0)), 0),
        COALESCE(SUM(told.paid_amount - COALESCE(before.paid_amount, 0)), 0),
        COALESCE(SUM(told.refunded_amount - COALESCE(before.refunded_amount, 0)), 0),
        COALESCE(SUM(told.charged_back_amount - COALESCE(before.charged_back_amount, 0)), 0),
        COALESCE(SUM(told.balance_amount - COALESCE(before.balance_amount, 0)), 0)
    FROM events_event told
    LEFT JOIN events_event before ON before.order_id = told.order_id AND before.sequence = told.sequence - 1
    WHERE told.environment_id = %(environment)s AND told.currency = %(currency)s
        AND told.created_at >= %(start)s AND told.created_at < %(end)s
"""


def rows(scope: Scope) -> Iterator[Row]:
    """Yield the orders of which something moved, in the order in which they were made."""
    for order_id, number, ordered_at, is_hidden, *sums in walk(scope, FOLD):
        goods, charges, tips, tax, credited, written_off, paid, refunded, charged_back, owed = map(int, sums)
        sold = goods + charges + tips + tax
        shown = (None, None) if is_hidden else (order_id, number)
        yield (*shown, ordered_at, goods, charges, tips, tax, sold, credited, sold - credited, written_off, paid) + (
            refunded,
            charged_back,
            paid - refunded - charged_back,
            owed,
        )


def controls(scope: Scope) -> Totals:
    """Sum up by how much each event of the interval changed the amounts that its order's history tells."""
    ((count, *sums),) = select(scope, TOLD)
    total, credit, paid, refunded, charged_back, balance = map(int, sums)
    (((written_off),),) = select(
        scope,
        """
        SELECT COALESCE(SUM(CASE kind WHEN 'write_off' THEN amount ELSE -amount END), 0) FROM orders_ledgerentry
        WHERE environment_id = %(environment)s AND currency = %(currency)s
            AND kind IN ('write_off', 'write_off_reversed')
            AND created_at >= %(start)s AND created_at < %(end)s
        """,
    )
    credited = credit - int(written_off)
    return {
        ROWS: count,
        "sold": total,
        "credited": credited,
        "net_sold": total - credited,
        "written_off": int(written_off),
        "paid": paid,
        "refunded": refunded,
        "charged_back": charged_back,
        "net_paid": paid - refunded - charged_back,
        "owed": balance,
    }


ORDERS = declare(
    ReportType(
        name="orders_itemized_v1",
        title="Orders",
        about="One row for each order of which money moved within the interval: what was sold, collected, given back "
        "and credited then. An order that moves in several intervals is in each with what moved there.",
        columns=COLUMNS,
        rows=rows,
        controls=controls,
        watches=(LedgerEntry,),
    )
)
