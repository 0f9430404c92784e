"""The reports about what came in, what moved on the processor's balance, and what was paid out."""

from collections.abc import Iterator

from flint.reports.registry import ROWS, Column, ReportType, Row, Scope, Totals, declare
from orders.models import LedgerEntry
from orders.reports.reading import by_name, select, streamed, walk
from payments.models import BalanceTransaction, Payout

PAYMENT_COLUMNS = (
    Column("booked_at", "moment", "When it was booked."),
    Column("entry_type", "text", "`capture`, `manual_payment`, or `manual_payment_reversed`."),
    Column("payment_id", "text", "The payment: of a processor, or one recorded by hand."),
    Column("order_id", "text", "The order; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("processor", "text", "Who collected it."),
    Column("method", "text", "What it was paid with."),
    Column("brand", "text", "The card's brand."),
    Column("last4", "text", "The last four digits."),
    Column("amount", "money", "What came in; below nothing when it was taken back."),
)

PAYMENTS = """
    SELECT entry.created_at, entry.kind, COALESCE(leg.id, entry.source_id), o.id, o.order_number, o.is_hidden,
        leg.processor, leg.source_type, leg.source_brand, leg.source_last4,
        CASE entry.kind WHEN 'manual_payment_reversed' THEN -entry.amount ELSE entry.amount END
    FROM orders_ledgerentry entry
    JOIN orders_order o ON o.id = entry.order_id
    JOIN events_event event ON event.id = entry.event_id
    LEFT JOIN payments_paymentintent leg ON leg.id = event.subject_id
    WHERE entry.environment_id = %(environment)s AND entry.currency = %(currency)s
        AND entry.created_at >= %(start)s AND entry.created_at < %(end)s
        AND entry.kind IN ('capture', 'manual_payment', 'manual_payment_reversed')
    ORDER BY entry.created_at, entry.id
"""


def payment_rows(scope: Scope) -> Iterator[Row]:
    """Yield what came in, in the order in which it was booked."""
    for booked_at, kind, payment_id, order_id, number, is_hidden, *how, amount in walk(scope, PAYMENTS):
        shown = (None, None) if is_hidden else (order_id, number)
        yield (booked_at, kind, payment_id, *shown, *how, amount)


def payment_controls(scope: Scope) -> Totals:
    """Sum up by how much each event of the interval changed what its order's history tells to be paid."""
    ((amount,),) = select(
        scope,
        """
        SELECT COALESCE(SUM(told.paid_amount - COALESCE(before.paid_amount, 0)), 0)
        FROM events_event told
        LEFT JOIN events_event before ON before.order_id = told.order_id AND before.sequence = told.sequence - 1
        WHERE told.environment_id = %(environment)s AND told.currency = %(currency)s
            AND told.created_at >= %(start)s AND told.created_at < %(end)s
        """,
    )
    return {"amount": int(amount)}


declare(
    ReportType(
        name="payments_itemized_v1",
        title="Payments",
        about="One row for each time that money came in within the interval. What went back is in the refunds.",
        columns=PAYMENT_COLUMNS,
        rows=payment_rows,
        controls=payment_controls,
        watches=(LedgerEntry,),
    )
)

MOVEMENT_COLUMNS = (
    Column("balance_transaction_id", "text", "The movement."),
    Column("recorded_at", "moment", "When it was learned of here; this puts it into the interval."),
    Column("occurred_at", "moment", "When it happened at the processor."),
    Column("type", "text", "What kind of movement it is."),
    Column("processor", "text", "Whose balance it is."),
    Column("processor_reference", "text", "How the processor calls it."),
    Column("related_type", "text", "What is behind it here, once known."),
    Column("related_id", "text", "And which."),
    Column("order_id", "text", "The order behind it; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("gross", "money", "By how much it moved the balance before fees."),
    Column("fee", "money", "What the processor took."),
    Column("net", "money", "Gross less fee."),
    Column("adjustment", "money", "The part that nothing here accounts for, as it stands now."),
)


def movement_rows(scope: Scope) -> Iterator[Row]:
    """Yield the movements of the balance, in the order in which they were learned of."""
    listed = BalanceTransaction.objects.using(scope.using).filter(
        environment_id=scope.environment_id,
        currency=scope.currency,
        created_at__gte=scope.start,
        created_at__lt=scope.end,
    )
    rows = listed.order_by("created_at", "id").values_list(
        "id",
        "created_at",
        "occurred_at",
        "type",
        "processor",
        "reference",
        "related_type",
        "related_id",
        "order_id",
        "order__order_number",
        "order__is_hidden",
        "amount",
        "fee_amount",
        "net_amount",
        "adjustment_amount",
    )
    for *head, order_id, number, is_hidden, gross, fee, net, adjustment in streamed(rows):
        shown = (None, None) if is_hidden else (order_id, number)
        yield (*head, *shown, gross, fee, net, adjustment)


def movement_controls(scope: Scope) -> Totals:
    """Count and sum up what was told of the balance, by the events that told it."""
    ((count, gross, fee, adjustment),) = select(
        scope,
        """
        SELECT COUNT(*), COALESCE(SUM(net_amount + fee_amount), 0), COALESCE(SUM(amount - net_amount), 0),
            COALESCE(SUM(adjustment_amount), 0)
        FROM payments_balancetransaction
        WHERE currency = %(currency)s AND id IN (
            SELECT subject_id FROM events_event
            WHERE environment_id = %(environment)s AND type = 'balance_transaction.created'
                AND created_at >= %(start)s::timestamptz - interval '1 day'
                AND created_at < %(end)s::timestamptz + interval '1 day'
        ) AND created_at >= %(start)s AND created_at < %(end)s
        """,
    )
    gross, fee = int(gross), int(fee)
    return {ROWS: count, "gross": gross, "fee": fee, "net": gross - fee, "adjustment": int(adjustment)}


declare(
    ReportType(
        name="balance_transactions_itemized_v1",
        title="Balance transactions",
        about="One row for each movement of the balance that the processor keeps, by when it was learned of, so that "
        "what is told late is in the later interval. What is behind a movement is shown as it is known by now.",
        columns=MOVEMENT_COLUMNS,
        rows=movement_rows,
        controls=movement_controls,
        watches=(BalanceTransaction,),
        is_fixed=False,
    )
)

PAYOUT_COLUMNS = (
    Column("payout_id", "text", "The payout."),
    Column("made_at", "moment", "When the processor made it."),
    Column("processor_reference", "text", "How the processor calls it."),
    Column("line_type", "text", "`payout` for itself, `entry` for a movement that it paid out, `unexplained`."),
    Column("balance_transaction_id", "text", "The movement."),
    Column("type", "text", "What kind of movement it is."),
    Column("related_type", "text", "What is behind it here, once known."),
    Column("related_id", "text", "And which."),
    Column("order_id", "text", "The order behind it; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("gross", "money", "What was paid out for it, before fees."),
    Column("fee", "money", "What the processor took."),
    Column("net", "money", "Gross less fee. The entries of a payout and what is unexplained sum up to it."),
    Column("paid_out", "money", "On the payout's own line: what went to the bank."),
)

PAYOUTS = """
    SELECT payout.id, payout.made_at, payout.reference, payout.amount, entry.id, entry.type, entry.related_type,
        entry.related_id, o.id, o.order_number, o.is_hidden, entry.amount, entry.fee_amount, entry.net_amount
    FROM payments_payout payout
    LEFT JOIN payments_balancetransaction entry ON entry.payout_id = payout.id AND entry.type NOT IN (
        'payout', 'payout_failure', 'payout_cancellation', 'payout_reversal'
    )
    LEFT JOIN orders_order o ON o.id = entry.order_id
    WHERE payout.environment_id = %(environment)s AND payout.currency = %(currency)s
        AND payout.created_at >= %(start)s AND payout.created_at < %(end)s
    ORDER BY payout.created_at, payout.id, entry.occurred_at, entry.id
"""


def payout_rows(scope: Scope) -> Iterator[Row]:
    """Yield each payout, what it paid out, and what of it nothing explains."""
    open_one: tuple = ()
    rest = 0
    for payout_id, made_at, reference, amount, entry_id, *entry in walk(scope, PAYOUTS):
        head = (payout_id, made_at, reference)
        if head != open_one:
            yield from _unexplained(open_one, rest)
            open_one, rest = head, amount
            yield (*head, "payout", *[None] * 6, None, None, None, amount)
        if entry_id is None:
            continue
        type, related_type, related_id, order_id, number, is_hidden, gross, fee, net = entry
        rest -= net
        shown = (None, None) if is_hidden else (order_id, number)
        yield (*head, "entry", entry_id, type, related_type, related_id, *shown, gross, fee, net, None)
    yield from _unexplained(open_one, rest)


def _unexplained(head: tuple, rest: int) -> Iterator[Row]:
    if head and rest:
        yield (*head, "unexplained", *[None] * 6, rest, 0, rest, None)


def payout_controls(scope: Scope) -> Totals:
    """Sum up the payouts by themselves: what all their lines come to must be what went to the bank."""
    found = select(
        scope,
        """
        SELECT 'paid_out', COALESCE(SUM(amount), 0) FROM payments_payout
        WHERE environment_id = %(environment)s AND currency = %(currency)s
            AND created_at >= %(start)s AND created_at < %(end)s
        """,
    )
    paid_out = by_name(found)["paid_out"]
    return {"net": paid_out, "paid_out": paid_out}


declare(
    ReportType(
        name="payouts_itemized_v1",
        title="Payouts",
        about="Each payout that was learned of within the interval, followed by a row for each movement that it paid "
        "out, and one for what nothing explains, if anything.",
        columns=PAYOUT_COLUMNS,
        rows=payout_rows,
        controls=payout_controls,
        watches=(Payout, BalanceTransaction),
        is_fixed=False,
    )
)
