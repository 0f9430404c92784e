"""Endpoints: where a merchant wants to be told, of what, and with which secret."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.api.spectacular_settings import API_VERSION
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.events.models import WebhookEndpoint
from flint.events.models.webhooks import FOLLOWS_MERCHANT
from flint.events.webhooks import registry
from flint.events.webhooks.publishing import open_feed
from flint.events.webhooks.signing import new_secret
from flint.events.webhooks.targets import check_url

OVERLAP = timedelta(hours=24)
MOST_ENDPOINTS = 50


class InvalidEventType(InvalidInput):
    code = "INVALID_EVENT_TYPE"
    message = "There is no such event type here. GET /v1/webhook-event-types lists those there are."


class InvalidApiVersion(InvalidInput):
    code = "INVALID_API_VERSION"
    message = f"An endpoint follows the merchant with '{FOLLOWS_MERCHANT}', or names {API_VERSION}."


class ApiVersionChanged(Conflict):
    code = "API_VERSION_CHANGED"
    message = "The endpoint's version is another by now. Read it again and decide anew."


class TooManyEndpoints(Conflict):
    code = "RESOURCE_LIMIT_EXCEEDED"
    message = f"An environment has at most {MOST_ENDPOINTS} webhook endpoints. Delete one first."


class RotationOverlapActive(Conflict):
    code = "WEBHOOK_SECRET_ROTATION_OVERLAP_ACTIVE"
    message = "The previous secret is still good. Rotate again once its 24 hours are over."


COLUMNS = ("url", "description", "enabled_events", "enabled", "api_version")


def create_endpoint(*, data: Mapping[str, Any], actor: Actor) -> tuple[WebhookEndpoint, str]:
    """
    Add an endpoint, and have the environment told from now on. Return it with its secret, which is not shown again.

    :raises InvalidUrl, UrlTooLong, InvalidUrlScheme, InvalidUrlHost: if the address will not do.
    :raises InvalidEventType, InvalidApiVersion: if there is no such type or version. :raises TooManyEndpoints.
    """
    _check(data)
    secret = new_secret()
    with transaction.atomic():
        open_feed(actor.environment_id)
        if in_use(actor).count() >= MOST_ENDPOINTS:
            raise TooManyEndpoints
        chosen = {name: data[name] for name in COLUMNS if name in data}
        endpoint = WebhookEndpoint(environment_id=actor.environment_id, secret=secret, **chosen)
        endpoint.enabled_events = _sorted(endpoint.enabled_events)
        endpoint.save(force_insert=True)
        _remember(endpoint, "webhook_endpoint.created", actor, host=host_of(endpoint))
    return endpoint, secret


def update_endpoint(*, webhook_endpoint_id: str, data: Mapping[str, Any], actor: Actor) -> WebhookEndpoint:
    """
    Change an endpoint; what is absent stays.

    :raises WebhookEndpointNotFound: if it is absent, foreign or deleted. Otherwise as :func:`create_endpoint`.
    :raises ApiVersionChanged: if ``expected_api_version`` is not its version.
    """
    _check(data)
    with transaction.atomic():
        endpoint = lock_endpoint(webhook_endpoint_id, actor)
        expected = data.get("expected_api_version", endpoint.api_version)
        if expected != endpoint.api_version:
            raise ApiVersionChanged(param="expected_api_version")
        changed = [name for name in COLUMNS if name in data and getattr(endpoint, name) != data[name]]
        for name in changed:
            setattr(endpoint, name, data[name])
        endpoint.enabled_events = _sorted(endpoint.enabled_events)
        endpoint.save()
        if changed:
            _remember(endpoint, "webhook_endpoint.updated", actor, changed=changed, host=host_of(endpoint))
    return endpoint


def delete_endpoint(*, webhook_endpoint_id: str, actor: Actor, at: datetime | None = None) -> WebhookEndpoint:
    """Take an endpoint away for good. What it was sent stays known. :raises WebhookEndpointNotFound: as above."""
    with transaction.atomic():
        endpoint = lock_endpoint(webhook_endpoint_id, actor)
        endpoint.deleted_at = at or timezone.now()
        endpoint.enabled = False
        endpoint.previous_secret, endpoint.previous_secret_until = "", None
        endpoint.save()
        _remember(endpoint, "webhook_endpoint.deleted", actor, host=host_of(endpoint))
    return endpoint


def rotate_secret(*, webhook_endpoint_id: str, actor: Actor, at: datetime | None = None) -> str:
    """
    Give an endpoint a new secret and return it, once. For a day the old one signs as well.

    :raises WebhookEndpointNotFound: as above. :raises RotationOverlapActive: while the last rotation's day lasts.
    """
    at = at or timezone.now()
    secret = new_secret()
    with transaction.atomic():
        endpoint = lock_endpoint(webhook_endpoint_id, actor)
        if endpoint.previous_secret_until is not None and at < endpoint.previous_secret_until:
            raise RotationOverlapActive
        endpoint.previous_secret, endpoint.previous_secret_until = endpoint.secret, at + OVERLAP
        endpoint.secret = secret
        endpoint.save()
        _remember(endpoint, "webhook_endpoint.secret_rotated", actor, host=host_of(endpoint))
    return secret


def in_use(actor: Actor):
    """Return the endpoints of the actor's environment that were not deleted."""
    return WebhookEndpoint.objects.of(actor).filter(deleted_at__isnull=True)


def find_endpoint(webhook_endpoint_id: str, actor: Actor) -> WebhookEndpoint:
    """:raises WebhookEndpointNotFound: if it is absent, foreign or deleted."""
    return in_use(actor).find(id=webhook_endpoint_id)


def lock_endpoint(webhook_endpoint_id: str, actor: Actor) -> WebhookEndpoint:
    """:raises WebhookEndpointNotFound: if it is absent, foreign or deleted."""
    return in_use(actor).lock(id=webhook_endpoint_id)


def host_of(endpoint: WebhookEndpoint) -> str:
    """Return the host of an endpoint's address: what may be told of it where a path might hold a secret."""
    return endpoint.url.partition("://")[2].partition("/")[0].partition("?")[0]


def _check(data: Mapping[str, Any]) -> None:
    if "url" in data:
        check_url(data["url"])
    if data.get("api_version", FOLLOWS_MERCHANT) not in (FOLLOWS_MERCHANT, API_VERSION):
        raise InvalidApiVersion(param="api_version")
    check_types(data.get("enabled_events", ()))


def check_types(types: Collection[str]) -> None:
    """:raises InvalidEventType: if one of these is not told here."""
    known = set(registry.types())
    for index, type in enumerate(types):
        if type not in known:
            raise InvalidEventType(param=f"enabled_events[{index}]")


def _sorted(types: Collection[str]) -> list[str]:
    return sorted(set(types))


def _remember(endpoint: WebhookEndpoint, type: str, actor: Actor, **data: Any) -> None:
    events.record_apart(endpoint.environment_id, type, subject=endpoint, actor=actor, **data)
