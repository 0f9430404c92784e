"""How many invoices wait for the clock, and how late it is, read from the database at each scrape."""

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone

from flint.metrics import Metric, gauge, source
from invoices.models import Invoice


@source
def waiting_invoices() -> Iterator[Metric]:
    """Tell how many invoices are to be looked at by now, by status, and for how long the first has waited."""
    at = timezone.now()
    due = Invoice.objects.filter(next_action_at__lte=at)
    by_status = due.order_by().values_list("status").annotate(count=Count("id"))
    yield gauge(
        "flint_invoices_waiting",
        "Invoices that the clock has to look at now, by status.",
        {(status,): count for status, count in by_status},
        ["status"],
    )
    first = due.aggregate(first=Min("next_action_at"))["first"]
    late = max((at - first).total_seconds(), 0.0) if first else 0.0
    yield gauge("flint_invoices_oldest_waiting_seconds", "How late the clock of invoices is.", {(): late})
