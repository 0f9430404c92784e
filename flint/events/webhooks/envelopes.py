"""The message itself: the contract's envelope around ``data``, as bytes that are written once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flint.api import wire
from flint.api.spectacular_settings import API_VERSION
from flint.events.models import Event, WebhookEvent
from flint.events.webhooks.registry import PAYLOAD_VERSION
from flint.merchants.models import Environment

CAUSED_BY_A_REQUEST = ("key", "customer")


def enclose(
    message: WebhookEvent, data: Mapping[str, Any], *, environment: Environment, event: Event | None = None
) -> None:
    """Write the envelope of a new message into it. One without an event is a test."""
    envelope = {
        "webhook_event_id": message.id,
        "event_type": message.type,
        "payload_version": PAYLOAD_VERSION,
        "api_version": API_VERSION,
        "mode": environment.mode,
        "merchant_id": environment.merchant_id,
        "created_at": message.created_at,
        "request": event and request_of(event),
        "data": data,
    }
    if message.is_test:
        envelope["test"] = True
    message.api_version = API_VERSION
    message.body = wire.dumps(envelope).decode()


def request_of(event: Event) -> dict[str, str] | None:
    """Return the API request that caused an event; none for what happened in the background or in the admin."""
    if event.actor_kind not in CAUSED_BY_A_REQUEST or not (event.request_id and event.command_key):
        return None
    # A buyer's key is kept with its session in front; see flint.api.idempotency.
    return {"id": event.request_id, "idempotency_key": event.command_key.removeprefix(f"{event.actor_id} ")}


def trial_message(environment: Environment, type: str, sample: Mapping[str, Any], *, at: datetime) -> WebhookEvent:
    """Return a new message that only tries an endpoint; not saved."""
    message = WebhookEvent(environment=environment, type=type, is_test=True, created_at=at)
    message.fact = message.id
    enclose(message, sample, environment=environment)
    return message
