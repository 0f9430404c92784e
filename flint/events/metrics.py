"""What happened, as counters."""

from collections.abc import Iterator

from flint.events.models import EventTally
from flint.metrics import Metric, counter, source

PAYMENTS = {
    "payment.settled": "settled",
    "payment.failed": "failed",
    "payment.canceled": "canceled",
    "payment.authorized": "authorized",
    "payment.authorization_canceled": "authorization_canceled",
    "payment.authorization_expired": "authorization_expired",
}
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
