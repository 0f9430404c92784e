"""How many emails wait, and what became of those of late, read from the database at each scrape."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Min
from django.utils import timezone

from flint.messages.models import Message, MessageStatus
from flint.metrics import Metric, gauge, source

LATELY = timedelta(hours=24)


@source
def waiting_mail() -> Iterator[Metric]:
    """Tell how many messages are to be sent, how late the oldest is, and how many could not be sent of late."""
    at = timezone.now()
    waiting = Message.objects.filter(next_at__isnull=False)
    by_kind = waiting.order_by().values_list("kind").annotate(count=Count("id"))
    yield gauge(
        "flint_messages_waiting", "Emails to be sent, by kind.", {(kind,): count for kind, count in by_kind}, ["kind"]
    )
    oldest = waiting.aggregate(oldest=Min("created_at"))["oldest"]
    age = max((at - oldest).total_seconds(), 0.0) if oldest else 0.0
    yield gauge("flint_messages_oldest_waiting_seconds", "Age of the oldest email to be sent.", {(): age})
    failed = Message.objects.filter(status=MessageStatus.FAILED, updated_at__gte=at - LATELY)
    by_reason = failed.order_by().values_list("error").annotate(count=Count("id"))
    yield gauge(
        "flint_messages_failed_lately",
        "Emails given up within 24 hours, by reason.",
        {(reason,): count for reason, count in by_reason},
        ["reason"],
    )
