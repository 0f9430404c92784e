"""Webhook endpoints, events and deliveries over the wire."""

from typing import Any

import orjson

from flint.api.fields import (
    CodedField,
    EnumField,
    IdField,
    ListOf,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output
from flint.events.models import WebhookDelivery, WebhookDeliveryAttempt, WebhookEndpoint, WebhookEvent
from flint.events.models.deliveries import MAX_ATTEMPTS, DeliveryStatus, Diagnosis, Trigger
from flint.events.webhooks.diagnoses import explanation_of

SOURCES = ["merchant", "partner_app", "installed_merchants"]
ATTEMPT_STATUSES = ["queued", "sending", "delivered", "failed"]
CATEGORIES = ["webhook_timeout", "webhook_dns", "webhook_tls", "webhook_connection", "webhook_blocked_target"]
CATEGORIES += ["webhook_request", "webhook_http_5xx", "webhook_http_4xx", "webhook_delivery"]


class WebhookEndpointOutput(Output):
    """An address that is told what happens. Its secret is shown when it is made, and never again."""

    webhook_endpoint_id = IdField("whep", source="id")
    url = StrictString()
    description = StrictString(required=False, source="shown.description")
    enabled = StrictBoolean()
    enabled_events = ListOf(StrictString())
    event_sources = ListOf(EnumField(SOURCES), source="shown.event_sources")
    api_version = StrictString()
    secret = StrictString(required=False, source="shown.secret")
    created_at = TimestampField()
    updated_at = TimestampField()

    def to_representation(self, instance: WebhookEndpoint) -> dict[str, Any]:
        instance.shown = {
            "description": instance.description or None,
            "event_sources": ["merchant"],
            "secret": getattr(instance, "shown_secret", None),
        }
        return super().to_representation(instance)


class WebhookSecretOutput(Output):
    """A new secret, shown once."""

    secret = StrictString()


class WebhookEventTypesOutput(Output):
    """The types that endpoints of one source may ask for."""

    event_source = EnumField(SOURCES)
    event_types = ListOf(StrictString())


class EnvelopeField(CodedField):
    """A message as it was sent, member by member."""

    def to_representation(self, value: str) -> orjson.Fragment:
        return orjson.Fragment(value)

    def openapi(self, schema, direction):
        return {"type": "object", "additionalProperties": True}


class WebhookEventOutput(Output):
    """
    One fact as it was told. `payload` is the message itself: not in lists, not for a key that may not read what it is
    about, and not once it is no longer kept.
    """

    webhook_event_id = IdField("whev", source="id")
    event_type = StrictString(source="type")
    event_origin = EnumField(["business_event", "test_api"], source="shown.origin")
    event_source = EnumField(SOURCES, required=False, source="shown.source")
    test = StrictBoolean(source="is_test")
    resource_type = StrictString(required=False, source="shown.resource_type")
    resource_id = StrictString(required=False, source="shown.resource_id")
    request_id = StrictString(required=False, source="shown.request_id")
    payload = EnvelopeField(required=False, source="shown.payload")
    created_at = TimestampField()

    def to_representation(self, instance: WebhookEvent) -> dict[str, Any]:
        instance.shown = {
            "origin": "test_api" if instance.is_test else "business_event",
            "source": "merchant",
            "resource_type": instance.resource_type or None,
            "resource_id": instance.resource_id or None,
            "request_id": instance.request_id or None,
            "payload": (instance.body or None) if getattr(instance, "shows_payload", False) else None,
        }
        return super().to_representation(instance)


def _explained(diagnosis: str, status_code: int | None) -> dict[str, Any]:
    found = explanation_of(diagnosis, status_code)
    if found is None:
        return {}
    return {
        "error_category": found.category,
        "error_summary": found.summary,
        "recommended_action": found.action,
        "retryable": found.retryable,
    }


class WebhookDeliveryOutput(Output):
    """One event on its way to one endpoint, and how far it got."""

    webhook_delivery_id = IdField("wdel", source="id")
    webhook_endpoint_id = IdField("whep")
    webhook_event_id = IdField("whev")
    status = EnumField(DeliveryStatus.values)
    automatic_attempt_count = StrictInteger(minimum=0)
    max_attempts = StrictInteger(source="shown.max_attempts")
    delivered_at = TimestampField(required=False)
    next_retry_at = TimestampField(required=False, source="due_at")
    last_response_code = StrictInteger(required=False)
    last_error = StrictString(required=False, source="shown.last_error")
    error_category = EnumField(CATEGORIES, required=False, source="shown.error_category")
    error_summary = StrictString(required=False, source="shown.error_summary")
    recommended_action = StrictString(required=False, source="shown.recommended_action")
    retryable = StrictBoolean(required=False, source="shown.retryable")
    created_at = TimestampField()
    updated_at = TimestampField()

    def to_representation(self, instance: WebhookDelivery) -> dict[str, Any]:
        instance.shown = {
            "max_attempts": MAX_ATTEMPTS,
            "last_error": instance.last_error or None,
            **_explained(instance.last_diagnosis, instance.last_response_code),
        }
        return super().to_representation(instance)


class AttemptFacts(Output):
    """What every form of a try shows."""

    webhook_delivery_attempt_id = IdField("watt", source="id")
    webhook_delivery_id = IdField("wdel", source="delivery_id")
    webhook_event_id = IdField("whev", source="delivery.webhook_event_id")
    attempt_number = StrictInteger(minimum=1, source="number")
    delivery_trigger = EnumField(Trigger.values, source="trigger")
    api_version = StrictString(required=False)
    started_at = TimestampField(required=False)
    completed_at = TimestampField(required=False)
    duration_milliseconds = StrictInteger(required=False, minimum=0)
    status_code = StrictInteger(required=False)
    diagnostic_category = EnumField(Diagnosis.values, required=False, source="shown.diagnosis")
    error_message = StrictString(required=False, source="shown.error_message")
    error_category = EnumField(CATEGORIES, required=False, source="shown.error_category")
    error_summary = StrictString(required=False, source="shown.error_summary")
    reason_message = StrictString(required=False, source="shown.reason_message")
    response_content_type = StrictString(required=False, source="shown.response_content_type")
    response_headers = EnvelopeField(required=False, source="shown.response_headers")
    response_body_excerpt = StrictString(required=False, source="shown.response_body_excerpt")
    recommended_action = StrictString(required=False, source="shown.recommended_action")
    retryable = StrictBoolean(required=False, source="shown.retryable")

    def to_representation(self, instance: WebhookDeliveryAttempt) -> dict[str, Any]:
        headers = instance.response_headers
        instance.shown = {
            "diagnosis": instance.diagnosis or None,
            "error_message": instance.error_message or None,
            "reason_message": instance.reason_message or None,
            "response_content_type": instance.response_content_type or None,
            "response_headers": orjson.dumps(headers).decode() if headers else None,
            "response_body_excerpt": instance.response_body_excerpt or None,
            **_explained(instance.diagnosis, instance.status_code),
        }
        return super().to_representation(instance)


class WebhookDeliveryAttemptOutput(AttemptFacts):
    """One try, with the beginning of what the endpoint answered."""

    status = EnumField(ATTEMPT_STATUSES)


class WebhookDeliveryActionOutput(AttemptFacts):
    """What came of a try that was asked for, and how the delivery stands after it."""

    webhook_endpoint_id = IdField("whep", source="delivery.webhook_endpoint_id")
    attempt_status = EnumField(ATTEMPT_STATUSES, source="status")
    delivery_status = EnumField(DeliveryStatus.values, source="delivery.status")
