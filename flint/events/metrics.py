"""What happened, as counters."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Min
from django.utils import timezone

from flint.events.models import EventTally, UntoldEvent, WebhookDelivery
from flint.events.models.deliveries import DeliveryStatus
from flint.metrics import Metric, counter, gauge, source

PAYMENTS = {
    "payment.settled": "settled",
    "payment.failed": "failed",
    "payment.canceled": "canceled",
    "payment.authorized": "authorized",
    "payment.authorization_canceled": "authorization_canceled",
    "payment.authorization_expired": "authorization_expired",
}
LATELY = timedelta(hours=24)
REFUNDS = {"refund.created": "created", "refund.succeeded": "succeeded", "refund.failed": "failed"}


@source
def events() -> Iterator[Metric]:
    """Tell how often what has happened, and how payments and refunds came out, up to a minute ago."""
    counted = {(each.type, each.mode): each.count for each in EventTally.objects.all()}
    yield counter("flint_events", "Events recorded, by type and mode.", counted, ["type", "mode"])
    for name, text, outcomes in (
        ("flint_payment_outcomes", "What became of tries to pay, by outcome and mode.", PAYMENTS),
        ("flint_refund_outcomes", "What became of refunds, by outcome and mode.", REFUNDS),
    ):
        values = {(outcomes[type], mode): count for (type, mode), count in counted.items() if type in outcomes}
        yield counter(name, text, values, ["outcome", "mode"])


@source
def webhooks() -> Iterator[Metric]:
    """Tell what merchants have not been told yet, how late it is, and what was given up of late."""
    at = timezone.now()
    untold = UntoldEvent.objects.count()
    yield gauge("flint_webhooks_untold", "Events that are not yet made into messages.", {(): untold})
    pending = WebhookDelivery.objects.filter(due_at__isnull=False)
    waiting = {("first",): pending.filter(automatic_attempt_count=0).count()}
    waiting["again",] = pending.filter(automatic_attempt_count__gt=0).count()
    yield gauge("flint_webhooks_waiting", "Deliveries to be made, by whether they were tried.", waiting, ["try"])
    oldest = pending.filter(due_at__lte=at).aggregate(oldest=Min("due_at"))["oldest"]
    late = max((at - oldest).total_seconds(), 0.0) if oldest else 0.0
    yield gauge("flint_webhooks_late_seconds", "How long the delivery that is due longest has been due.", {(): late})
    failed = WebhookDelivery.objects.filter(status=DeliveryStatus.FAILED, updated_at__gte=at - LATELY)
    by_problem = failed.order_by().values_list("last_diagnosis").annotate(count=Count("id"))
    yield gauge(
        "flint_webhooks_failed_lately",
        "Deliveries given up within 24 hours, by the last problem.",
        {(problem,): count for problem, count in by_problem},
        ["problem"],
    )
