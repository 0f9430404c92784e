"""What waits for people, or waited at some time of an interval, from every room."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from flint.reports.registry import ROWS, Column, ReportType, Row, Scope, Totals, declare
from orders.reports.reading import walk
from payments.models import ReconcileDifference
from refunds.models import UNDONE, Dispute, Refund, RefundOrigin

COLUMNS = (
    Column("kind", "text", "`explain_refund`, `failed_refund`, `decide_dispute` or `difference`."),
    Column("item_id", "text", "The refund, dispute or difference."),
    Column("opened_at", "moment", "Since when it has waited."),
    Column("closed_at", "moment", "When it was dealt with, if that was before the end of the interval."),
    Column("state", "text", "`open` or `closed`, at the end of the interval."),
    Column("order_id", "text", "The order that it belongs to; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("amount", "money", "The money that it is about."),
)

WORK = """
    SELECT work.kind, work.id, work.opened_at, work.closed_at, o.id, o.order_number, o.is_hidden, work.amount FROM (
        SELECT 'explain_refund' AS kind, id, created_at AS opened_at, explained_at AS closed_at, order_id, amount,
            environment_id, currency
        FROM refunds_refund WHERE origin = 'processor'
        UNION ALL
        SELECT 'failed_refund', id, created_at, handled_at, order_id, amount, environment_id, currency
        FROM refunds_refund WHERE status IN ('failed', 'partially_succeeded')
        UNION ALL
        SELECT 'decide_dispute', id, opened_at, decided_at, order_id, GREATEST(charged_back_amount, written_off_amount),
            environment_id, currency
        FROM refunds_dispute WHERE decided_at IS NOT NULL OR charged_back_amount > 0
        UNION ALL
        SELECT 'difference', id, first_seen_at, COALESCE(resolved_at, ignored_at), order_id,
            COALESCE(our_amount, their_amount), environment_id, COALESCE(NULLIF(our_currency, ''), their_currency)
        FROM payments_reconciledifference
    ) AS work LEFT JOIN orders_order o ON o.id = work.order_id
    WHERE work.environment_id = %(environment)s AND work.currency = %(currency)s
        AND work.opened_at < %(end)s AND (work.closed_at IS NULL OR work.closed_at >= %(start)s)
    ORDER BY work.opened_at, work.id, work.kind
"""


def rows(scope: Scope) -> Iterator[Row]:
    """Yield what waited within the interval, what has waited longest first."""
    for kind, item_id, opened_at, closed_at, order_id, number, is_hidden, amount in walk(scope, WORK):
        closed_at = closed_at if closed_at and closed_at < scope.end else None
        shown = (None, None) if is_hidden else (order_id, number)
        yield (kind, item_id, opened_at, closed_at, "closed" if closed_at else "open", *shown, amount)


def controls(scope: Scope) -> Totals:
    """Count each kind by itself, as the work lists of the admin do."""
    refunds = Refund.objects.using(scope.using).filter(currency=scope.currency)
    disputes = Dispute.objects.using(scope.using).filter(currency=scope.currency)
    differences = ReconcileDifference.objects.using(scope.using).annotate(
        closed_at=Coalesce("resolved_at", "ignored_at")
    )
    told = Q(our_currency=scope.currency) | Q(our_currency="", their_currency=scope.currency)
    counts = (
        _waiting(scope, refunds.filter(origin=RefundOrigin.PROCESSOR), "created_at", "explained_at"),
        _waiting(scope, refunds.filter(status__in=UNDONE), "created_at", "handled_at"),
        _waiting(scope, disputes.exclude(decided_at=None, charged_back_amount=0), "opened_at", "decided_at"),
        _waiting(scope, differences.filter(told), "first_seen_at", "closed_at"),
    )
    return {ROWS: sum(counts)}


def _waiting(scope: Scope, items: QuerySet, opened: str, closed: str) -> int:
    start: datetime = scope.start
    waited = Q(**{f"{closed}__isnull": True}) | Q(**{f"{closed}__gte": start})
    return items.filter(waited, environment_id=scope.environment_id, **{f"{opened}__lt": scope.end}).count()


WORK_ITEMS = declare(
    ReportType(
        name="work_items_v1",
        title="Work items",
        about="What waited for somebody at any time of the interval: refunds made at the processor to be explained, "
        "refunds that failed, debts that disputes left to be decided on, and differences with the processor.",
        columns=COLUMNS,
        rows=rows,
        controls=controls,
        watches=(Refund, Dispute, ReconcileDifference),
        is_fixed=False,
    )
)
