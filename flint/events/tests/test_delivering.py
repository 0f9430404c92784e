"""Delivering over real HTTP: signed, repeated after whatever is no yes, and never twice at a time."""

import hashlib
import hmac
import threading
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from flint import actors
from flint.events.models import WebhookDelivery, WebhookDeliveryAttempt, WebhookEndpoint
from flint.events.tests.telling import endpoint_at, listen, only_delivery, publish, tell
from flint.events.webhooks import endpoints, posting, sending
from flint.events.webhooks.signing import signature_headers
from flint.testing import stories
from flint.testing.receiver import Scripted

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = [30, 120, 600, 3_600, 14_400, 43_200, 86_400, 108_000]


def one_waits(environment, url: str, *, at: datetime | None = None) -> WebhookDelivery:
    """Have one delivery wait that nobody has tried."""
    endpoint_at(environment, url, "order.created")
    stories.open_order(environment)
    publish(at=at)
    return only_delivery()


def test_the_published_vector():
    headers = signature_headers(
        message_id="whev_01TESTVECTOR0000000000000A",
        body='{"event_type":"order.paid"}',
        secrets=["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
        at=datetime.fromtimestamp(1783087200, UTC),
    )

    assert headers["webhook-signature"] == "v1,yeumGrF8eUaUpDOKBekvW3ozwxU/yawjTpErZj103qk="
    legacy = "t=1783087200,v1=2bc557abfe7c9a9b39219c5c738fdbe6afa327965c89af94d59597afb5a9d104"
    assert headers["X-Flint-Signature"] == legacy


def test_a_message_is_signed_in_both_schemes_and_says_what_it_is(environment, receiver):
    endpoint, secret = listen(environment, receiver, "order.created")
    order = stories.open_order(environment)
    tell()

    (message,) = receiver.received
    event = message.verified(secret)
    assert event["event_type"] == "order.created"
    assert event["data"]["order_id"] == order.id
    assert (event["mode"], event["merchant_id"]) == ("test", environment.merchant_id)
    assert (event["payload_version"], event["api_version"]) == (1, "2026-09-07")
    assert message.headers["webhook-id"] == message.headers["X-Flint-Webhook-ID"] == event["webhook_event_id"]
    assert message.headers["X-Flint-Event-Type"] == "order.created"
    assert message.headers["X-Flint-Webhook-Endpoint-ID"] == endpoint.id
    assert message.headers["User-Agent"] == "Flint-Webhooks/1.0"
    assert message.headers["Content-Type"] == "application/json"
    stamp, digest = message.headers["X-Flint-Signature"].split(",")
    signed = stamp.removeprefix("t=").encode() + b"." + message.body
    assert digest == "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(message.body + b" ", message.headers)
    delivery = only_delivery()
    assert (delivery.status, delivery.automatic_attempt_count, delivery.last_response_code) == ("delivered", 1, 200)


@pytest.mark.parametrize(("status", "category"), [(500, "http_error"), (404, "http_error"), (302, "http_error")])
def test_whatever_is_no_yes_is_tried_again(environment, receiver, status, category):
    elsewhere = receiver.url("/elsewhere")
    receiver.answer(Scripted(status, headers={"Location": elsewhere}, body=b"no whsec_abcdefghijkl thanks"))
    delivery = one_waits(environment, receiver.url())
    at = timezone.now()

    failed = sending.deliver(delivery.id, at=at)
    assert (failed.status, failed.diagnosis, failed.status_code) == ("failed", category, status)
    assert failed.response_body_excerpt == "no [removed] thanks"
    assert "location" not in failed.response_headers
    delivery.refresh_from_db()
    assert delivery.status == "pending"
    assert timedelta(seconds=30) <= delivery.due_at - at <= timedelta(seconds=38)
    assert sending.deliver(delivery.id, at=at + timedelta(seconds=29)) is None

    again = sending.deliver(delivery.id, at=delivery.due_at)
    assert (again.status, again.trigger, again.number) == ("delivered", "automatic_retry", 2)
    assert [message.path for message in receiver.received] == ["/hooks", "/hooks"]
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_nine_times_in_three_days_and_then_no_more(environment, receiver):
    receiver.answer(*[500] * 9)
    delivery = one_waits(environment, receiver.url())
    at, waits = timezone.now(), []
    for _ in range(9):
        sending.deliver(delivery.id, at=at)
        delivery.refresh_from_db()
        if delivery.due_at:
            waits.append((delivery.due_at - at).total_seconds())
            at = delivery.due_at
    assert all(least <= waited <= least * 1.2 + 1 for least, waited in zip(WAITS, waits, strict=True))
    assert (delivery.status, delivery.due_at, delivery.automatic_attempt_count) == ("failed", None, 9)
    assert sending.deliver(delivery.id, at=at + timedelta(days=9)) is None
    assert len(receiver.received) == 9
    assert len(set(waits)) == 8


def test_an_endpoint_that_drips_is_left_after_ten_seconds(environment, receiver, monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT_SECONDS", 0.3)
    done = threading.Event()
    receiver.answer(Scripted(drip=done))
    delivery = one_waits(environment, receiver.url())

    attempt = sending.deliver(delivery.id)
    done.set()
    assert (attempt.status, attempt.diagnosis) == ("failed", "timeout")
    assert 250 <= attempt.duration_milliseconds < 5_000


def test_an_endpoint_that_is_silent_is_left_after_ten_seconds(environment, receiver, monkeypatch):
    assert posting.TIMEOUT_SECONDS == 10
    monkeypatch.setattr(posting, "TIMEOUT_SECONDS", 0.3)
    done = threading.Event()
    receiver.answer(Scripted(hold=done))
    delivery = one_waits(environment, receiver.url())

    attempt = sending.deliver(delivery.id)
    done.set()
    assert attempt.diagnosis == "timeout"


def test_nobody_is_there(environment, receiver):
    url = receiver.url()
    receiver.close()
    delivery = one_waits(environment, url)

    assert sending.deliver(delivery.id).diagnosis == "connection_error"
    delivery.refresh_from_db()
    assert delivery.status == "pending"


def test_of_a_long_answer_little_is_read_and_less_is_kept(environment, receiver):
    receiver.answer(Scripted(body=b"\x00" + b"x" * 5_000_000))
    delivery = one_waits(environment, receiver.url())

    attempt = sending.deliver(delivery.id)
    assert attempt.status == "delivered"
    assert attempt.response_body_excerpt == "x" * 500


def test_two_workers_try_one_delivery_once_at_a_time(environment, receiver):
    hold = threading.Event()
    receiver.answer(Scripted(hold=hold))
    delivery = one_waits(environment, receiver.url())
    at, outcomes = timezone.now(), []

    def work():
        try:
            outcomes.append(sending.deliver(delivery.id, at=at))
        finally:
            connection.close()

    first = threading.Thread(target=work)
    first.start()
    assert receiver.arrived.acquire(timeout=10)
    second = threading.Thread(target=work)
    second.start()
    second.join()
    assert outcomes == [None]
    assert WebhookDeliveryAttempt.objects.get().status == "sending"
    hold.set()
    first.join()
    assert len(receiver.received) == 1
    assert only_delivery().status == "delivered"


def test_many_workers_at_one_door(environment, receiver):
    delivery = one_waits(environment, receiver.url())
    gate, at = threading.Barrier(6), timezone.now()

    def work():
        try:
            gate.wait()
            sending.deliver(delivery.id, at=at)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(receiver.received) == 1
    assert WebhookDeliveryAttempt.objects.count() == 1


def test_a_worker_that_is_lost_is_made_up_for(environment, receiver):
    delivery = one_waits(environment, receiver.url())
    at = timezone.now()
    # As far as a worker gets that is killed before it has called.
    assert sending._take_due(delivery.id, at)

    tell(at=at + timedelta(seconds=30))
    assert receiver.received == []
    tell(at=at + timedelta(seconds=61))
    assert len(receiver.received) == 1
    lost, made = WebhookDeliveryAttempt.objects.order_by("number")
    assert (lost.status, lost.diagnosis, made.status) == ("failed", "request_error", "delivered")
    delivery.refresh_from_db()
    assert (delivery.status, delivery.automatic_attempt_count, delivery.leased_until) == ("delivered", 2, None)


def test_a_worker_that_comes_back_late_spoils_nothing(environment, receiver):
    delivery = one_waits(environment, receiver.url())
    at = timezone.now()
    late = sending._take_due(delivery.id, at)
    tell(at=at + timedelta(seconds=61))

    assert sending.carry_out(late, at=at).status == "failed"
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == ("delivered", 2)


def test_both_secrets_sign_for_a_day(environment, receiver):
    endpoint, old = listen(environment, receiver, "order.created")
    actor, at = actors.system(environment.id), timezone.now()
    new = endpoints.rotate_secret(webhook_endpoint_id=endpoint.id, actor=actor, at=at)

    stories.open_order(environment)
    tell(at=at + timedelta(seconds=1))
    (message,) = receiver.received
    assert len(message.headers["webhook-signature"].split()) == 2
    assert message.verified(old) == message.verified(new)
    assert message.headers["X-Flint-Signature"].count("v1=") == 2

    later = at + timedelta(hours=24)
    assert [secret.reveal() for secret in WebhookEndpoint.objects.get().secrets_at(later)] == [new]
    third = endpoints.rotate_secret(webhook_endpoint_id=endpoint.id, actor=actor, at=later)
    both = WebhookEndpoint.objects.get().secrets_at(later)
    assert [secret.reveal() for secret in both] == [third, new]


def test_what_waits_for_an_endpoint_that_is_switched_off_is_suppressed(environment, receiver):
    delivery = one_waits(environment, receiver.url())
    endpoints.update_endpoint(
        webhook_endpoint_id=delivery.webhook_endpoint_id,
        data={"enabled": False},
        actor=actors.system(environment.id),
    )

    assert sending.deliver(delivery.id) is None
    delivery.refresh_from_db()
    assert (delivery.status, delivery.due_at) == ("suppressed", None)
    stories.open_order(environment)
    tell()
    assert receiver.received == []
    assert WebhookDelivery.objects.count() == 1


def test_one_that_answers_nothing_does_not_keep_every_worker(environment, receiver):
    endpoint_at(environment, receiver.url(), "order.created")
    for _ in range(sending.AT_ONCE + 1):
        stories.open_order(environment)
    publish()
    at = timezone.now()
    *taken, left = WebhookDelivery.objects.order_by("id")
    assert all(sending._take_due(each.id, at) for each in taken)

    assert sending.deliver(left.id, at=at) is None
    left.refresh_from_db()
    assert left.due_at == at + sending.CROWDED
    assert left.automatic_attempt_count == 0

    for each in taken:
        receiver.answer(200)
        sending.carry_out(sending.Try(each, each.attempts.get()), at=at)
    stories.open_order(environment)
    publish(at=at)
    newest = WebhookDelivery.objects.order_by("-id")[0]
    assert sending.deliver_and_go_on(newest.id, at=at) == 2
    left.refresh_from_db()
    assert left.status == "delivered"


def test_who_does_not_get_through_takes_nobody_along(environment, receiver):
    endpoint_at(environment, receiver.url(), "order.created")
    for _ in range(2):
        stories.open_order(environment)
    publish()
    at = timezone.now()
    first, second = WebhookDelivery.objects.order_by("id")
    WebhookDelivery.objects.filter(id=second.id).update(due_at=at + timedelta(seconds=3))
    receiver.answer(500)

    assert sending.deliver_and_go_on(first.id, at=at) == 1
    assert len(receiver.received) == 1


def test_after_a_rotation_of_the_installs_keys_endpoints_are_called_as_before(environment, receiver, settings):
    _, secret = listen(environment, receiver, "order.created")
    old, new = settings.ENCRYPTION_KEYS[0], "a new key that is long enough to be one"
    stories.open_order(environment)
    publish()
    delivery, at = only_delivery(), timezone.now()

    settings.ENCRYPTION_KEYS = [new]
    unopened = sending.deliver(delivery.id, at=at)
    assert (unopened.status, unopened.diagnosis) == ("failed", "request_error")
    assert receiver.received == []
    settings.ENCRYPTION_KEYS = [new, old]
    call_command("reseal_secrets", stdout=StringIO())
    settings.ENCRYPTION_KEYS = [new]
    assert sending.deliver(delivery.id, at=at + timedelta(seconds=40)).status == "delivered"
    Webhook(secret).verify(receiver.received[0].body, receiver.received[0].headers)
