"""How long what was told is kept."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from flint.events.models import WebhookDeliveryAttempt, WebhookEvent

BATCH = 5_000


def erase_payloads(*, at: datetime | None = None, batch: int = BATCH) -> int:
    """
    Erase messages older than the time to keep them, and what endpoints answered; that they were told stays.

    Return how many.
    """
    before = (at or timezone.now()) - timedelta(days=settings.WEBHOOKS_KEPT_DAYS)
    answered = WebhookDeliveryAttempt.objects.filter(started_at__lt=before).exclude(response_body_excerpt="")
    answered = answered.order_by("started_at").values("id")[:batch]
    WebhookDeliveryAttempt.objects.filter(id__in=answered).update(response_body_excerpt="", response_headers={})
    old = WebhookEvent.objects.filter(published_at__lt=before).exclude(body="")
    return WebhookEvent.objects.filter(id__in=old.order_by("published_at").values("id")[:batch]).update(body="")
