"""Short ways for tests of what merchants are told."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from flint import actors
from flint.celery import collecting
from flint.events.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from flint.events.webhooks import endpoints, publishing, sending
from flint.merchants.models import Environment
from flint.testing.receiver import Receiver


def endpoint_at(environment: Environment, url: str, *types: str, **data: Any) -> tuple[WebhookEndpoint, str]:
    """Add an endpoint that wants these types, or all; return it and its secret."""
    data = {"url": url, "enabled_events": list(types), **data}
    return endpoints.create_endpoint(data=data, actor=actors.system(environment.id))


def listen(environment: Environment, receiver: Receiver, *types: str) -> tuple[WebhookEndpoint, str]:
    """Have a receiver told of these types, or of all."""
    return endpoint_at(environment, receiver.url(), *types)


def tell(*, at: datetime | None = None) -> None:
    """Do all that is due at a moment: publish, and try once whatever waits to be delivered."""
    at = at or timezone.now()
    with collecting() as started:
        publishing.publish_waiting(at=at)
        del started[:]
        sending.sweep(at=at)
    for _, kwargs in started:
        sending.deliver(kwargs["delivery_id"], at=at)


def publish(*, at: datetime | None = None) -> None:
    """Publish only: what is to be delivered waits."""
    with collecting():
        publishing.publish_waiting(at=at)


def told(environment: Environment) -> list[str]:
    """Return the types of all that was told, in order."""
    rows = WebhookEvent.objects.filter(environment=environment, is_test=False).order_by("position")
    return list(rows.values_list("type", flat=True))


def only_delivery() -> WebhookDelivery:
    """Return the one delivery there is."""
    return WebhookDelivery.objects.get()
