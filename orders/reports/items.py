"""What was sold and credited, item by item."""

from collections.abc import Iterable, Iterator

from flint.reports.registry import Column, ReportType, Row, Scope, Totals, declare
from orders import ledger
from orders.models import LedgerEntry, RowVersion
from orders.reports.changes import CHARGE, LINE, TAX, TIP, Change, credits, sales
from orders.reports.reading import by_name, select

COLUMNS = (
    Column("entry_type", "text", "`sale` for what was sold or changed, `return` for what was credited."),
    Column("order_id", "text", "The order; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("item_type", "text", "`line_item`, `charge`, `tip`, or `tax` for a flat tax on the order as a whole."),
    Column("item_id", "text", "The item; empty for what was credited without naming one."),
    Column("name", "text", "What it was called by the end of the interval."),
    Column("quantity", "number", "How many units more, or fewer."),
    Column("gross", "money", "Its price before discounts, with the tax that is within it."),
    Column("discount", "money", "What was taken off."),
    Column("net", "money", "After discounts, without tax."),
    Column("tax", "money", "The tax on it, on top and within."),
    Column("total", "money", "Net and tax."),
)

ACCOUNTS = {LINE: ledger.SALES, CHARGE: ledger.CHARGES, TIP: ledger.TIPS}


def rows(scope: Scope) -> Iterator[Row]:
    """Yield what was sold, then what was credited, each in the order in which orders were made."""
    yield from _rows("sale", sales(scope))
    yield from _rows("return", credits(scope))


def _rows(entry_type: str, changes: Iterable[Change]) -> Iterator[Row]:
    for change in changes:
        worth = change.worth
        if not worth:
            continue
        shown = (None, None) if change.is_hidden else (change.order_id, change.order_number)
        yield (entry_type, *shown, change.type, change.item_id, change.name, worth.quantity, worth.gross) + (
            worth.discount,
            worth.net,
            worth.tax,
            worth.net + worth.tax,
        )


def accounts(scope: Scope) -> dict[str, int]:
    """Return by how much each account of the ledger grew within the interval: credits less debits."""
    found = select(
        scope,
        """
        SELECT account, SUM(moved) FROM (
            SELECT environment_id, currency, created_at, debit AS account, -amount AS moved FROM orders_ledgerentry
            UNION ALL SELECT environment_id, currency, created_at, credit, amount FROM orders_ledgerentry
        ) AS moves
        WHERE environment_id = %(environment)s AND currency = %(currency)s
            AND created_at >= %(start)s AND created_at < %(end)s
        GROUP BY account
        """,
    )
    return by_name(found)


def controls(scope: Scope) -> Totals:
    """Hold items against the accounts that they were recognised in."""
    grew = accounts(scope)
    by_type = {f"item_type={type}": grew.get(account, 0) for type, account in ACCOUNTS.items()}
    net, tax = sum(by_type.values()), grew.get(ledger.TAX, 0)
    return {"net": net, "tax": tax, "total": net + tax, **by_type, f"item_type={TAX}": 0}


ITEMS = declare(
    ReportType(
        name="orders_itemized_v2",
        title="Order items",
        about="One row for each item that was sold, changed or credited within the interval. What an edit took off is "
        "below nothing, and so is what was credited.",
        columns=COLUMNS,
        rows=rows,
        controls=controls,
        watches=(LedgerEntry, RowVersion),
        amount="net",
        groups=("item_type",),
    )
)
