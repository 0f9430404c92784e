"""How long what was told is kept."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from flint.events.models import WebhookDeliveryAttempt, WebhookEndpoint, WebhookEvent, WebhookFeed

BATCH = 5_000
NOBODY_FOR = timedelta(days=7)


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


def close_feeds(*, at: datetime | None = None) -> int:
    """Stop telling where there is no endpoint and nobody has come to listen for a week; return how many closed."""
    before = (at or timezone.now()) - NOBODY_FOR
    endpoints = WebhookEndpoint.objects.filter(environment_id=OuterRef("environment_id"), deleted_at__isnull=True)
    return WebhookFeed.objects.filter(~Exists(endpoints), is_open=True, listened_at__lt=before).update(is_open=False)
