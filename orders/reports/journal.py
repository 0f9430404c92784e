"""The journal: every ledger entry of an interval, double entry, with the order and the event that it comes from."""

from collections.abc import Iterator

from flint.reports.models import Format
from flint.reports.registry import ROWS, Column, ReportType, Row, Scope, Totals, declare
from orders import ledger
from orders.models import LedgerEntry
from orders.reports.reading import by_name, entries, select, streamed

COLUMNS = (
    Column("entry_id", "text", "The ledger entry."),
    Column("booked_at", "moment", "When it was booked."),
    Column("kind", "text", "What kind of movement it is."),
    Column("debit", "text", "The account that it is for."),
    Column("credit", "text", "The account that it comes from."),
    Column("amount", "money", "How much, always more than nothing."),
    Column("order_id", "text", "The order; empty for what belongs to none, and for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("order_entry", "number", "Which entry of its order it is, counted without gaps."),
    Column("source_id", "text", "The row that the movement comes from, such as a refund's leg."),
    Column("event_id", "text", "The event that tells of it."),
    Column("event_type", "text", "What happened."),
)

VALUES = ("id", "created_at", "kind", "debit", "credit", "amount", "order_id", "order__order_number", "sequence")
VALUES += ("source_id", "event_id", "event__type", "order__is_hidden")

PLACES = {
    ledger.RECEIVABLE: "Assets:Receivable",
    ledger.PROCESSOR: "Assets:Processor",
    ledger.CASH: "Assets:Cash",
    ledger.BANK: "Assets:Bank",
    ledger.SALES: "Income:Sales",
    ledger.CHARGES: "Income:Charges",
    ledger.TIPS: "Liabilities:TipsPayable",
    ledger.TAX: "Liabilities:TaxPayable",
    ledger.FEES: "Expenses:ProcessingFees",
    ledger.ADJUSTMENTS: "Equity:ProcessorAdjustments",
    ledger.WRITE_OFFS: "Expenses:WriteOffs",
    ledger.DISPUTE_LOSSES: "Expenses:DisputeLosses",
    ledger.REFUNDS_RESERVED: "Assets:RefundsReserved",
    ledger.REFUNDS_DUE: "Liabilities:RefundsDue",
}
"""Where an account stands in a chart of accounts. What is not named here is equity until somebody names it."""


def account(code: str) -> str:
    """Return how beancount calls an account."""
    return PLACES.get(code) or "Equity:" + "".join(part.capitalize() for part in code.split("_"))


def rows(scope: Scope) -> Iterator[Row]:
    """Yield the entries as they were booked."""
    for *row, order_id, number, place, source, event, type, is_hidden in streamed(entries(scope).values_list(*VALUES)):
        shown = (None, None) if is_hidden else (order_id, number)
        yield (*row, *shown, place, source, event, type)


def controls(scope: Scope) -> Totals:
    """Fold the ledger in one statement: how many entries, and what each account was debited and credited."""
    found = select(
        scope,
        """
        WITH booked AS (
            SELECT debit, credit, amount FROM orders_ledgerentry
            WHERE environment_id = %(environment)s AND currency = %(currency)s
                AND created_at >= %(start)s AND created_at < %(end)s
        )
        SELECT 'rows', COUNT(*)::numeric FROM booked
        UNION ALL SELECT 'amount', COALESCE(SUM(amount), 0) FROM booked
        UNION ALL SELECT 'debit=' || debit, SUM(amount) FROM booked GROUP BY debit
        UNION ALL SELECT 'credit=' || credit, SUM(amount) FROM booked GROUP BY credit
        """,
    )
    return {ROWS: 0} | by_name(found)


JOURNAL = declare(
    ReportType(
        name="journal_v1",
        title="Journal",
        about="Every movement between two accounts, as it was booked. Both sides of each are on one line, so debits "
        "equal credits by construction; the control totals give them by account.",
        columns=COLUMNS,
        rows=rows,
        controls=controls,
        watches=(LedgerEntry,),
        amount="amount",
        groups=("debit", "credit"),
        formats=(Format.CSV, Format.XLSX, Format.BEANCOUNT),
        extra={
            "at": "booked_at",
            "debit": "debit",
            "credit": "credit",
            "amount": "amount",
            "payee": "order_number",
            "narration": "kind",
            "links": ("entry_id", "order_id", "source_id", "event_id"),
            "account": account,
        },
    )
)
