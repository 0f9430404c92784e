"""What of payments waits or is not known, read from the database at each scrape."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count
from django.utils import timezone

from flint.metrics import Metric, gauge, rows, source
from payments.models import ProcessorNotice
from payments.models.reconciling import ReconcileDifference

AGES = """
    CASE WHEN age < interval '1 minute' THEN '<1m' WHEN age < interval '10 minutes' THEN '1m-10m'
         WHEN age < interval '1 hour' THEN '10m-1h' WHEN age < interval '1 day' THEN '1h-1d' ELSE '>1d' END
"""
UNKNOWN = f"""
    SELECT kind, {AGES}, COUNT(*)
    FROM (SELECT kind, now() - created_at AS age FROM payments_paymentoperation WHERE answered_at IS NULL) AS unanswered
    GROUP BY 1, 2
"""
SECONDS = """
    SELECT COUNT(*), COALESCE(AVG(lag), 0), COALESCE(MAX(lag), 0) FROM (
        SELECT EXTRACT(EPOCH FROM handled_at - created_at)::float AS lag FROM payments_processornotice
        WHERE status IN ('handled', 'ignored', 'foreign', 'set_aside') AND status = 'handled' AND handled_at >= %s
        ORDER BY handled_at DESC LIMIT 10000
    ) AS recent
"""
LATELY = timedelta(minutes=5)


@source
def unknown_outcomes() -> Iterator[Metric]:
    """Tell how many calls to a processor have no known outcome yet, and for how long."""
    values = {(kind, age): float(count) for kind, age, count in rows(UNKNOWN)}
    yield gauge(
        "flint_unknown_payment_calls", "Calls to a processor without a known outcome, by age.", values, ["kind", "age"]
    )


@source
def notices() -> Iterator[Metric]:
    """Tell how many notices wait or are in trouble, and how late they are."""
    at = timezone.now()
    open_ones = ProcessorNotice.objects.filter(next_at__isnull=False) | ProcessorNotice.objects.needing_people()
    by_status = open_ones.order_by().values_list("processor", "status").annotate(count=Count("id"))
    yield gauge(
        "flint_notices_open",
        "Notices of processors that did not end yet, by status.",
        {(processor, status): count for processor, status, count in by_status},
        ["processor", "status"],
    )
    yield gauge(
        "flint_notices_for_people",
        "Notices that trying again does not mend.",
        {(): ProcessorNotice.objects.needing_people().count()},
    )
    oldest = (
        ProcessorNotice.objects.filter(next_at__isnull=False)
        .order_by("created_at")
        .values_list("created_at", flat=True)
    )
    first = oldest.first()
    yield gauge(
        "flint_notices_oldest_waiting_seconds",
        "Age of the oldest notice that waits for a try.",
        {(): (at - first).total_seconds() if first else 0.0},
    )
    ((count, average, most),) = rows(SECONDS, [at - LATELY])
    yield gauge("flint_notices_handled_lately", "Notices that had their effect in the last five minutes.", {(): count})
    yield gauge(
        "flint_notice_lag_seconds",
        "From the receipt of a notice to its effect, over the last five minutes.",
        {("average",): average, ("maximum",): most},
        ["of"],
    )


@source
def drift() -> Iterator[Metric]:
    """Tell how many differences to a processor's books nobody has settled yet."""
    found = ReconcileDifference.objects.open().order_by().values_list("kind", "problem").annotate(count=Count("id"))
    yield gauge(
        "flint_reconcile_differences_open",
        "Differences between our books and a processor's that are open, by kind of object and problem.",
        {(kind, problem): count for kind, problem, count in found},
        ["kind", "problem"],
    )
