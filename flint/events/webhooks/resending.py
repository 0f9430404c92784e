"""Sending because somebody asks for it: the same message once more, or one that only tries the endpoint."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from flint.events.models import WebhookDelivery, WebhookDeliveryAttempt
from flint.events.models.deliveries import DeliveryStatus, Trigger
from flint.events.webhooks import sending
from flint.events.webhooks.endpoints import InvalidEventType, lock_endpoint
from flint.events.webhooks.envelopes import trial_message
from flint.events.webhooks.registry import declaration_of, types
from flint.merchants.models import Environment

MAX_REASON = 500


class WebhookDeliveryInFlight(Conflict):
    code = "WEBHOOK_DELIVERY_IN_FLIGHT"
    message = "This delivery is still being tried by itself, or is being sent right now."


class WebhookEndpointNotActive(Conflict):
    code = "WEBHOOK_ENDPOINT_NOT_ACTIVE"
    message = "The endpoint is switched off or deleted."


class WebhookEventPayloadExpired(Conflict):
    code = "WEBHOOK_EVENT_PAYLOAD_EXPIRED"
    message = "What this event told is no longer kept."


def resend(
    *, webhook_delivery_id: str, reason_message: str = "", actor: Actor, at: datetime | None = None
) -> WebhookDeliveryAttempt:
    """
    Send what an endpoint was sent once more, now, and return what came of it. It does not count as a try by itself.

    :raises WebhookDeliveryNotFound: if it is absent or foreign. :raises WebhookDeliveryInFlight: while it is pending.
    :raises WebhookEndpointNotActive: if nothing goes there any more. :raises WebhookEventPayloadExpired.
    """
    at = at or timezone.now()
    with transaction.atomic():
        rows = WebhookDelivery.objects.of(actor).select_related("webhook_event", "webhook_endpoint")
        delivery = rows.lock(id=webhook_delivery_id)
        if delivery.status == DeliveryStatus.PENDING or delivery.is_leased(at):
            raise WebhookDeliveryInFlight(current_status=delivery.status)
        if not delivery.webhook_endpoint.is_active:
            raise WebhookEndpointNotActive
        if not delivery.webhook_event.body:
            raise WebhookEventPayloadExpired
        taken = sending.begin(
            delivery,
            trigger=Trigger.MANUAL_RESEND,
            at=at,
            reason_message=reason_message,
            actor_label=actor.label,
        )
    return sending.carry_out(taken, at=at)


def send_test(
    *, webhook_endpoint_id: str, event_type: str, actor: Actor, at: datetime | None = None
) -> WebhookDeliveryAttempt:
    """
    Send an endpoint a made-up event of a type, now, and return what came of it. It is tried once.

    :raises WebhookEndpointNotFound: if it is absent, foreign or deleted.
    :raises WebhookEndpointNotActive: if it is switched off.
    :raises InvalidEventType: if there is no such type.
    """
    at = at or timezone.now()
    if event_type not in types():
        raise InvalidEventType(param="event_type")
    with transaction.atomic():
        endpoint = lock_endpoint(webhook_endpoint_id, actor)
        if not endpoint.is_active:
            raise WebhookEndpointNotActive
        environment = Environment.objects.get(id=actor.environment_id)
        message = trial_message(environment, event_type, declaration_of(event_type).sample, at=at)
        message.save(force_insert=True)
        delivery = WebhookDelivery(
            environment_id=environment.id, webhook_event=message, webhook_endpoint=endpoint, due_at=at
        )
        # Nothing is sent again by itself of what somebody watches.
        delivery.give_up()
        delivery.save(force_insert=True)
        taken = sending.begin(delivery, trigger=Trigger.TEST_EVENT, at=at, actor_label=actor.label)
    return sending.carry_out(taken, at=at)
