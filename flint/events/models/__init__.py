"""What happened, and who is told of it."""

from flint.events.models.deliveries import WebhookDelivery, WebhookDeliveryAttempt
from flint.events.models.facts import Event, EventTally
from flint.events.models.webhooks import UntoldEvent, WebhookEndpoint, WebhookEvent, WebhookFeed

__all__ = [
    "Event",
    "EventTally",
    "UntoldEvent",
    "WebhookDelivery",
    "WebhookDeliveryAttempt",
    "WebhookEndpoint",
    "WebhookEvent",
    "WebhookFeed",
]
