"""
From what happened to what is told: messages and their deliveries, made from the queue that the database keeps.

Whoever publishes an environment holds the lock of its feed, so that messages are numbered in the order in which they
can be seen, and one fact is told once. An event leaves the queue in the transaction that writes its messages: none is
lost, none is told twice. One that cannot be told is tried again later and holds up no other.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from flint.celery import after_commit
from flint.events import tasks
from flint.events.models import Event, UntoldEvent, WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookFeed
from flint.events.webhooks.envelopes import enclose
from flint.events.webhooks.registry import Fact, declarations_for
from flint.merchants.models import Environment

log = structlog.get_logger(__name__)

BATCH = 50
FIRST_RETRY, SLOWEST_RETRY = timedelta(seconds=10), timedelta(hours=1)


def open_feed(environment_id: str, *, at: datetime | None = None) -> None:
    """Have what happens in an environment told from now on. Whoever adds an endpoint or a reader calls this first."""
    at = at or timezone.now()
    _, is_new = WebhookFeed.objects.get_or_create(environment_id=environment_id, defaults={"listened_at": at})
    if not is_new:
        WebhookFeed.objects.filter(environment_id=environment_id).update(is_open=True, listened_at=at)


def publish_waiting(*, at: datetime | None = None) -> int:
    """Publish every environment that has something to tell; return how many events were dealt with."""
    at = at or timezone.now()
    waiting = UntoldEvent.objects.filter(_is_due(at)).order_by("environment_id")
    found = list(waiting.values_list("environment_id", flat=True).distinct())
    return sum(publish(environment_id, at=at) for environment_id in found)


def publish(environment_id: str, *, at: datetime | None = None) -> int:
    """
    Tell what waits in one environment, a batch at a time; return how many events were dealt with.

    Returns at once when somebody else is at it: they look again once their batch is committed.
    """
    at = at or timezone.now()
    total = 0
    while True:
        with transaction.atomic():
            feed = WebhookFeed.objects.select_for_update(skip_locked=True).filter(environment_id=environment_id)
            locked = feed.order_by("environment_id").first()
            if locked is None:
                return total
            count = _publish_batch(locked, at)
        total += count
        if not count:
            return total


def _is_due(at: datetime) -> Q:
    return Q(due_at__isnull=True) | Q(due_at__lte=at)


def _publish_batch(feed: WebhookFeed, at: datetime) -> int:
    queue = UntoldEvent.objects.filter(_is_due(at), environment_id=feed.environment_id)
    waiting = list(queue.select_related("event").order_by("id")[:BATCH])
    if not waiting:
        return 0
    environment = Environment.objects.get(id=feed.environment_id)
    messages: list[WebhookEvent] = []
    told: list[UntoldEvent] = []
    read: dict = {}
    for entry in waiting:
        try:
            with transaction.atomic():
                messages += _messages_of(entry.event, environment, read)
        except Exception as problem:
            log.exception("webhooks.cannot_tell", event_id=entry.event_id, type=entry.event.type)
            _try_later(entry, problem, at)
        else:
            told.append(entry)
    _write(feed, _new(messages, feed.environment_id), at)
    UntoldEvent.objects.filter(id__in=[entry.id for entry in told]).delete()
    return len(waiting)


def _messages_of(event: Event, environment: Environment, read: dict) -> list[WebhookEvent]:
    """Return what an event is told as; not saved."""
    fact = Fact(event, read)
    found = []
    for declaration in declarations_for(event):
        data = declaration.compose(fact)
        if data is None:
            continue
        message = WebhookEvent(
            environment=environment,
            event=event,
            type=declaration.type,
            fact=declaration.name_fact(fact),
            resource_type=declaration.resource,
            resource_id=declaration.name_resource(fact) if declaration.resource else "",
            request_id=event.request_id,
            created_at=event.created_at,
        )
        enclose(message, data, environment=environment, event=event)
        found.append(message)
    return found


def _new(messages: Sequence[WebhookEvent], environment_id: str) -> list[WebhookEvent]:
    """Leave out what has been told before under the same name, and what two events of a batch have in common."""
    first = {(message.type, message.fact): message for message in reversed(messages)}
    known = WebhookEvent.objects.filter(environment_id=environment_id, fact__in={fact for _, fact in first})
    before = set(known.values_list("type", "fact")) if first else set()
    return [
        message
        for message in messages
        if first[message.type, message.fact] is message and (message.type, message.fact) not in before
    ]


def _write(feed: WebhookFeed, messages: Sequence[WebhookEvent], at: datetime) -> None:
    """Number messages, and write them with a delivery for every endpoint that wants them."""
    if not messages:
        return
    for message in messages:
        feed.position += 1
        message.position = feed.position
    WebhookEvent.objects.bulk_create(messages)
    feed.save(update_fields=["position"])
    endpoints = WebhookEndpoint.objects.filter(environment_id=feed.environment_id, enabled=True, deleted_at=None)
    endpoints = list(endpoints.only("enabled_events").order_by("id"))
    deliver(
        [
            WebhookDelivery(
                environment_id=feed.environment_id, webhook_event=message, webhook_endpoint=endpoint, due_at=at
            )
            for message in messages
            for endpoint in endpoints
            if endpoint.wants(message.type)
        ]
    )


def deliver(deliveries: Sequence[WebhookDelivery]) -> None:
    """Write new deliveries, and start them when that is committed."""
    WebhookDelivery.objects.bulk_create(deliveries)
    for delivery in deliveries:
        after_commit(tasks.deliver, delivery_id=delivery.id)


def _try_later(entry: UntoldEvent, problem: Exception, at: datetime) -> None:
    entry.tries = min(entry.tries + 1, 1000)
    entry.due_at = at + min(FIRST_RETRY * 2 ** min(entry.tries - 1, 20), SLOWEST_RETRY)
    entry.error = type(problem).__name__[:200]
    entry.save(update_fields=["tries", "due_at", "error"])
