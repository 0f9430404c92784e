"""The register of documents: every invoice and credit note that was issued or taken back."""

from collections.abc import Iterator

from flint.events.models import Event
from flint.reports.registry import ROWS, Column, ReportType, Row, Scope, Totals, declare
from orders.reports.reading import select, walk

COLUMNS = (
    Column("recorded_at", "moment", "When it was issued or taken back."),
    Column("entry_type", "text", "`invoice.issued`, `invoice.voided`, `credit_note.issued` or `credit_note.voided`."),
    Column("document_id", "text", "The invoice or credit note."),
    Column("number", "text", "The number printed on it."),
    Column("invoice_number", "text", "The invoice that a credit note corrects."),
    Column("order_id", "text", "The order."),
    Column("order_number", "text", "The order's number for people."),
    Column("customer_id", "text", "The customer that it was issued to."),
    Column("due_at", "moment", "When an invoice was first due."),
    Column("tax", "money", "The tax in it."),
    Column("amount", "money", "What it came to; below nothing for what takes back or credits."),
)

REGISTER = """
    SELECT told.created_at, told.type, told.subject_id, COALESCE(note.number, invoice.number),
        CASE WHEN note.id IS NOT NULL THEN billed.number END, o.id, o.order_number, o.is_hidden,
        COALESCE(invoice.customer_id, billed.customer_id),
        (invoice.snapshot -> 'document' ->> 'due_at')::timestamptz,
        COALESCE(
            (SELECT SUM(line.tax_amount) FROM invoices_creditnoteline line WHERE line.note_id = note.id),
            (invoice.snapshot -> 'pricing_amounts' -> 'tax_money' ->> 'amount')::bigint, 0
        ),
        COALESCE(note.total_amount, invoice.total_amount)
    FROM events_event told
    JOIN orders_order o ON o.id = told.order_id
    LEFT JOIN invoices_invoice invoice ON invoice.id = told.subject_id
    LEFT JOIN invoices_creditnote note ON note.id = told.subject_id
    LEFT JOIN invoices_invoice billed ON billed.id = note.invoice_id
    WHERE told.environment_id = %(environment)s AND told.currency = %(currency)s
        AND told.created_at >= %(start)s AND told.created_at < %(end)s
        AND told.type IN ('invoice.issued', 'invoice.voided', 'credit_note.issued', 'credit_note.voided')
        AND COALESCE(note.number, invoice.number) <> ''
    ORDER BY told.created_at, told.id
"""

TAKES = ("invoice.voided", "credit_note.issued")


def rows(scope: Scope) -> Iterator[Row]:
    """Yield the documents, in the order in which they were issued or taken back."""
    for at, type, *document, order_id, order_number, is_hidden, customer, due_at, tax, amount in walk(scope, REGISTER):
        sign = -1 if type in TAKES else 1
        shown = (None, None) if is_hidden else (order_id, order_number)
        yield (at, type, *document, *shown, customer, due_at, sign * int(tax), sign * int(amount))


def controls(scope: Scope) -> Totals:
    """Sum up what was told when each document was issued, whatever the document says by now."""
    ((count, amount),) = select(
        scope,
        """
        SELECT COUNT(*), COALESCE(SUM(
            CASE told.type WHEN 'invoice.issued' THEN 1 WHEN 'credit_note.voided' THEN 1 ELSE -1 END
            * COALESCE((issued.data ->> 'total_amount')::bigint, (issued.data ->> 'amount')::bigint)
        ), 0)
        FROM events_event told JOIN events_event issued
            ON issued.order_id = told.order_id AND issued.subject_id = told.subject_id
            AND issued.type IN ('invoice.issued', 'credit_note.issued')
        WHERE told.environment_id = %(environment)s AND told.currency = %(currency)s
            AND told.created_at >= %(start)s AND told.created_at < %(end)s
            AND told.type IN ('invoice.issued', 'invoice.voided', 'credit_note.issued', 'credit_note.voided')
        """,
    )
    return {ROWS: count, "amount": int(amount)}


REGISTER_OF_INVOICES = declare(
    ReportType(
        name="invoice_register_v1",
        title="Invoice register",
        about="One row for each invoice and credit note that was issued within the interval, and one for each that was "
        "taken back then.",
        columns=COLUMNS,
        rows=rows,
        controls=controls,
        watches=(Event,),
    )
)
