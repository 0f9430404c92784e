"""
Delivering. A worker takes a delivery by a lease and writes down the try, then calls the endpoint outside any
transaction, and books what came of it. One that is killed in between leaves it due again when its lease ends.
"""

import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from flint.celery import refuse_inside_transaction, send
from flint.events import tasks
from flint.events.models import WebhookDelivery, WebhookDeliveryAttempt, WebhookEndpoint, WebhookEvent
from flint.events.models.deliveries import MAX_ATTEMPTS, AttemptStatus, DeliveryStatus, Diagnosis, Trigger
from flint.events.webhooks.posting import Answer, NotDelivered, post
from flint.events.webhooks.signing import signature_headers
from flint.sealing import Unsealable

log = structlog.get_logger(__name__)

WAITS = [timedelta(seconds=seconds) for seconds in (0, 30, 120, 600, 3_600, 14_400, 43_200, 86_400, 108_000)]
"""How long before each try by itself."""
JITTER = 0.2

LEASE = timedelta(seconds=60)
"""Longer than a name may take to be looked up and an endpoint to answer."""

AT_ONCE = 4
"""So many deliveries to one endpoint at a time: one that answers nothing shall not keep every worker waiting."""
CROWDED = timedelta(seconds=5)
"""How long one that found the door crowded stands back, if nobody who gets through takes it along before."""
GOES_ON_SECONDS = 5.0
"""How long a worker that got through takes others along."""

BATCH = 200
RESCUE = 500


@dataclass(frozen=True)
class Try:
    """A delivery that this worker has taken, and the try it is about to make."""

    delivery: WebhookDelivery
    attempt: WebhookDeliveryAttempt


def sweep(*, at: datetime | None = None) -> int:
    """Start whatever is due, oldest first, and end tries whose worker was lost. Return how many were started."""
    at = at or timezone.now()
    _end_abandoned(at)
    due = WebhookDelivery.objects.filter(due_at__lte=at).order_by("due_at").values_list("id", flat=True)[:BATCH]
    due = list(due)
    for delivery_id in due:
        send(tasks.deliver, {"delivery_id": delivery_id})
    return len(due)


def deliver(
    delivery_id: str, *, at: datetime | None = None, ahead: timedelta = timedelta(0)
) -> WebhookDeliveryAttempt | None:
    """
    Make one try at a delivery if it is due and nobody else is at it; return the try.

    :param ahead: take it also if it is due so much later.
    """
    refuse_inside_transaction()
    at = at or timezone.now()
    taken = _take_due(delivery_id, at, ahead)
    return _carry_out(taken, at) if taken else None


def deliver_and_go_on(delivery_id: str, *, at: datetime | None = None) -> int:
    """
    Deliver, and as long as the endpoint takes what it is sent, also what stood back from its crowded door.

    So a burst flows as fast as an endpoint can take it, and one that takes nothing holds nobody. Return how many tries
    were made.
    """
    begun, tries = time.monotonic(), 0
    attempt = deliver(delivery_id, at=at)
    while attempt is not None:
        tries += 1
        has_time = time.monotonic() - begun < GOES_ON_SECONDS
        next_id = _standing_back(attempt.delivery, at or timezone.now()) if has_time else None
        if attempt.status != AttemptStatus.DELIVERED or next_id is None:
            break
        attempt = deliver(next_id, at=at, ahead=CROWDED)
    return tries


def _standing_back(delivery: WebhookDelivery, at: datetime) -> str | None:
    """Return the next delivery that found the door of the same endpoint crowded."""
    waiting = WebhookDelivery.objects.filter(
        webhook_endpoint_id=delivery.webhook_endpoint_id,
        due_at__gt=at,
        due_at__lte=at + CROWDED,
        attempt_count=0,
    )
    return waiting.order_by("due_at", "id").values_list("id", flat=True).first()


def carry_out(taken: Try, *, at: datetime) -> WebhookDeliveryAttempt:
    """Make a try that somebody asked for."""
    refuse_inside_transaction()
    return _carry_out(taken, at)


def begin(
    delivery: WebhookDelivery, *, trigger: str, at: datetime, reason_message: str = "", actor_label: str = ""
) -> Try:
    """Take a locked delivery for one try, and write the try down."""
    delivery.attempt_count += 1
    delivery.leased_until = at + LEASE
    attempt = WebhookDeliveryAttempt(
        environment_id=delivery.environment_id,
        delivery=delivery,
        number=delivery.attempt_count,
        trigger=trigger,
        api_version=delivery.webhook_event.api_version,
        url=delivery.webhook_endpoint.url,
        reason_message=reason_message,
        actor_label=actor_label,
        started_at=at,
    )
    attempt.save(force_insert=True)
    delivery.save()
    return Try(delivery, attempt)


def _take_due(delivery_id: str, at: datetime, ahead: timedelta = timedelta(0)) -> Try | None:
    with transaction.atomic():
        due = WebhookDelivery.objects.select_for_update(of=("self",), skip_locked=True).filter(
            id=delivery_id, due_at__lte=at + ahead
        )
        delivery = due.select_related("webhook_event", "webhook_endpoint").order_by("id").first()
        if delivery is None or delivery.is_leased(at):
            return None
        if not delivery.webhook_endpoint.is_active:
            delivery.suppress()
            delivery.save()
            return None
        if not delivery.webhook_event.body:
            # It waited for longer than messages are kept.
            _note(delivery, diagnosis=Diagnosis.REQUEST_ERROR, error="The message is no longer kept.", code=None)
            delivery.give_up()
            delivery.save()
            return None
        if delivery.automatic_attempt_count >= MAX_ATTEMPTS:
            # The last try was lost with its worker.
            delivery.give_up()
            delivery.save()
            return None
        if _is_crowded(delivery, at):
            delivery.wait_until(at + CROWDED)
            delivery.save()
            return None
        trigger = Trigger.AUTOMATIC_RETRY if delivery.automatic_attempt_count else Trigger.AUTOMATIC_DELIVERY
        delivery.automatic_attempt_count += 1
        delivery.wait_until(at + LEASE)
        return begin(delivery, trigger=trigger, at=at)


def _is_crowded(delivery: WebhookDelivery, at: datetime) -> bool:
    under_way = WebhookDelivery.objects.filter(webhook_endpoint_id=delivery.webhook_endpoint_id, leased_until__gt=at)
    return under_way.count() >= AT_ONCE


def _carry_out(taken: Try, at: datetime) -> WebhookDeliveryAttempt:
    delivery, attempt = taken.delivery, taken.attempt
    message, endpoint = delivery.webhook_event, delivery.webhook_endpoint
    started = time.monotonic()
    try:
        outcome: Answer | NotDelivered = post(
            attempt.url, body=message.body.encode(), headers=_headers(message, endpoint, at)
        )
    except NotDelivered as problem:
        outcome = problem
    except Unsealable:
        message = "The endpoint's secret cannot be opened with the encryption keys of this installation."
        outcome = NotDelivered(Diagnosis.REQUEST_ERROR, message)
    took = time.monotonic() - started
    return _book(delivery.id, attempt.id, outcome, started_at=at, took=timedelta(seconds=took))


def _headers(message: WebhookEvent, endpoint: WebhookEndpoint, at: datetime) -> dict[str, str]:
    secrets = [secret.reveal() for secret in endpoint.secrets_at(at)]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Flint-Webhooks/1.0",
        **signature_headers(message_id=message.id, body=message.body, secrets=secrets, at=at),
        "X-Flint-Webhook-ID": message.id,
        "X-Flint-Event-Type": message.type,
        "X-Flint-Webhook-Endpoint-ID": endpoint.id,
    }


def _book(
    delivery_id: str, attempt_id: str, outcome: Answer | NotDelivered, *, started_at: datetime, took: timedelta
) -> WebhookDeliveryAttempt:
    at = started_at + took
    with transaction.atomic():
        delivery = WebhookDelivery.objects.select_for_update().get(id=delivery_id)
        attempt = WebhookDeliveryAttempt.objects.get(id=attempt_id)
        attempt.delivery = delivery
        if attempt.status != AttemptStatus.SENDING:
            # This worker was given up, and came back after all; what it knows of the endpoint is worth keeping.
            log.warning("webhooks.late_outcome", delivery_id=delivery_id, attempt=attempt.number)
            if isinstance(outcome, Answer) and outcome.is_good:
                delivery.succeed(at=at)
                delivery.save()
            return attempt
        attempt.duration_milliseconds = round(took.total_seconds() * 1000)
        code, diagnosis, error = None, "", ""
        if isinstance(outcome, Answer):
            code = attempt.status_code = outcome.status
            attempt.response_content_type = outcome.content_type
            attempt.response_headers = outcome.headers
            attempt.response_body_excerpt = outcome.excerpt
            if not outcome.is_good:
                diagnosis, error = Diagnosis.HTTP_ERROR, _told_by_status(outcome.status)
        else:
            diagnosis, error = outcome.diagnosis, outcome.message
        if diagnosis:
            attempt.fail(at=at, diagnosis=diagnosis, message=error)
        else:
            attempt.succeed(at=at)
        attempt.save()
        _note(delivery, diagnosis=diagnosis, error=error, code=code)
        _move(delivery, is_delivered=not diagnosis, at=at)
        if delivery.attempt_count == attempt.number:
            delivery.leased_until = None
        delivery.save()
    log.info(
        "webhooks.tried",
        delivery_id=delivery_id,
        attempt=attempt.number,
        status=str(attempt.status),
        diagnosis=str(diagnosis),
        status_code=code,
    )
    return attempt


def _move(delivery: WebhookDelivery, *, is_delivered: bool, at: datetime) -> None:
    if is_delivered:
        delivery.succeed(at=at)
    elif delivery.status == DeliveryStatus.PENDING:
        if delivery.automatic_attempt_count < MAX_ATTEMPTS:
            delivery.wait_until(at + wait_before(delivery.automatic_attempt_count + 1))
        else:
            delivery.give_up()


def wait_before(attempt: int) -> timedelta:
    """Return how long to wait before a try by itself, counted from one: the schedule, and up to a fifth more."""
    return WAITS[attempt - 1] * (1 + random.uniform(0, JITTER))


def _note(delivery: WebhookDelivery, *, diagnosis: str, error: str, code: int | None) -> None:
    delivery.last_diagnosis, delivery.last_error, delivery.last_response_code = diagnosis, error, code


def _told_by_status(status: int) -> str:
    if 300 <= status < 400:
        return f"The endpoint answered {status}; redirects are not followed."
    return f"The endpoint answered {status}."


def _end_abandoned(at: datetime) -> None:
    """End tries whose worker has not come back. Whether they arrived nobody knows; the next one bears the same id."""
    lost = WebhookDeliveryAttempt.objects.filter(status=AttemptStatus.SENDING, started_at__lt=at - LEASE)
    for attempt in list(lost.order_by("started_at")[:RESCUE]):
        with transaction.atomic():
            delivery = WebhookDelivery.objects.select_for_update().get(id=attempt.delivery_id)
            attempt = WebhookDeliveryAttempt.objects.get(id=attempt.id)
            if attempt.status != AttemptStatus.SENDING:
                continue
            message = "The worker was lost; whether it arrived is not known."
            attempt.fail(at=at, diagnosis=Diagnosis.REQUEST_ERROR, message=message)
            attempt.save()
            if delivery.attempt_count == attempt.number:
                delivery.leased_until = None
                _note(delivery, diagnosis=Diagnosis.REQUEST_ERROR, error=message, code=None)
                if delivery.due_at is not None:
                    delivery.wait_until(at)
                delivery.save()
