"""Reads on what was told."""

from datetime import datetime

from django.db.models import QuerySet

from flint.actors import Actor
from flint.events.models import WebhookDelivery, WebhookDeliveryAttempt, WebhookEvent


def messages(actor: Actor) -> QuerySet[WebhookEvent]:
    """Return what was told in the actor's environment."""
    return WebhookEvent.objects.of(actor)


def deliveries(actor: Actor) -> QuerySet[WebhookDelivery]:
    """Return who was told what in the actor's environment."""
    return WebhookDelivery.objects.of(actor)


def attempts(actor: Actor) -> QuerySet[WebhookDeliveryAttempt]:
    """Return every try in the actor's environment."""
    return WebhookDeliveryAttempt.objects.of(actor)


def deliveries_of(order) -> QuerySet[WebhookDelivery]:
    """Return who was told of what happened to an order, oldest first, with event and endpoint; one statement."""
    rows = WebhookDelivery.objects.filter(webhook_event__event__order_id=order.id)
    return rows.select_related("webhook_event", "webhook_endpoint").order_by("created_at", "id")


def failed_since(environment_ids: list[str], since: datetime) -> QuerySet[WebhookDelivery]:
    """Return the deliveries that were given up lately."""
    return WebhookDelivery.objects.filter(environment_id__in=environment_ids, status="failed", updated_at__gte=since)
