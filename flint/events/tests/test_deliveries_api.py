"""Looking up what was told, and having it sent again."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from flint import actors
from flint.events.models import WebhookDelivery, WebhookDeliveryAttempt, WebhookEvent
from flint.events.tests.telling import endpoint_at, listen, only_delivery, publish, tell
from flint.events.webhooks import endpoints, keeping, resending, selectors
from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.receiver import Scripted

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://shop.example.com/hooks"


@pytest.fixture
def delivered(environment, receiver):
    """An order that a receiver was told of."""
    listen(environment, receiver, "order.created", "order.paid")
    order = stories.open_order(environment)
    tell()
    return order


def test_events_are_listed_without_and_shown_with_what_they_told(api, delivered, receiver):
    (row,) = api.get("/v1/webhook-events").data

    assert row == {
        "webhook_event_id": receiver.received[0].event["webhook_event_id"],
        "event_type": "order.created",
        "event_origin": "business_event",
        "event_source": "merchant",
        "test": False,
        "resource_type": "order",
        "resource_id": delivered.id,
        "created_at": row["created_at"],
    }
    shown = api.get(f"/v1/webhook-events/{row['webhook_event_id']}").data
    assert shown == {**row, "payload": receiver.received[0].event}


def test_who_may_not_read_orders_is_not_shown_what_was_told_of_one(environment, delivered):
    reader = client_of(environment, scopes=["webhooks.read"])
    both = client_of(environment, scopes=["webhooks.read", "commerce.orders.write"])
    path = f"/v1/webhook-events/{WebhookEvent.objects.get().id}"

    assert "payload" not in reader.get(path).data
    assert both.get(path).data["payload"]["event_type"] == "order.created"


def test_filters(api, delivered, environment):
    endpoint = only_delivery().webhook_endpoint_id
    for query, count in [
        ({"event_type": "order.created"}, 1),
        ({"event_type": "order.paid"}, 0),
        ({"resource_id": delivered.id, "resource_type": "order"}, 1),
        ({"resource_type": "refund"}, 0),
        ({"webhook_endpoint_id": endpoint, "delivery_status": "delivered"}, 1),
        ({"webhook_endpoint_id": endpoint, "delivery_status": "failed"}, 0),
        ({"event_source": ["partner_app"]}, 0),
        ({"created_after": (timezone.now() + timedelta(hours=1)).isoformat()}, 0),
    ]:
        assert len(api.get("/v1/webhook-events", query).data) == count, query
    assert api.get("/v1/webhook-events", {"delivery_status": "lost"}).code == "INVALID_STATUS"
    assert api.get("/v1/webhook-events", {"include": "everything"}).code == "INVALID_INCLUDE"


def test_pages_and_statements_do_not_grow(api, environment, django_assert_max_num_queries):
    endpoint_at(environment, URL)
    for _ in range(5):
        stories.open_order(environment)
    publish()
    seen, token = [], None
    while True:
        with django_assert_max_num_queries(3):
            page = api.get("/v1/webhook-events", {"page_size": 2, **({"page_token": token} if token else {})})
        seen += [row["webhook_event_id"] for row in page.data]
        token = page.json().get("next_page_token")
        if not token:
            break
    assert len(set(seen)) == len(seen) == 5


def test_a_delivery_and_its_tries(api, environment, receiver):
    receiver.answer(Scripted(503, body=b"busy"))
    listen(environment, receiver, "order.created")
    stories.open_order(environment)
    at = timezone.now()
    tell(at=at)
    tell(at=at + timedelta(seconds=40))

    event = WebhookEvent.objects.get()
    (row,) = api.get(f"/v1/webhook-events/{event.id}/deliveries").data
    assert api.get(f"/v1/webhook-deliveries/{row['webhook_delivery_id']}").data == row
    assert (row["status"], row["automatic_attempt_count"], row["max_attempts"]) == ("delivered", 2, 9)
    assert row["last_response_code"] == 200
    assert "next_retry_at" not in row
    second, first = api.get(f"/v1/webhook-deliveries/{row['webhook_delivery_id']}/attempts").data
    assert (first["delivery_trigger"], first["status"], first["status_code"]) == ("automatic_delivery", "failed", 503)
    assert (first["error_category"], first["retryable"]) == ("webhook_http_5xx", True)
    assert first["response_body_excerpt"] == "busy"
    assert (second["delivery_trigger"], second["status"], second["attempt_number"]) == (
        "automatic_retry",
        "delivered",
        2,
    )


def test_it_is_sent_again_to_where_the_endpoint_is_now(api, environment, receiver, delivered):
    delivery = only_delivery()
    path = f"/v1/webhook-deliveries/{delivery.id}/resend"
    api.patch(f"/v1/webhook-endpoints/{delivery.webhook_endpoint_id}", {"url": receiver.url("/moved")})

    sent = api.post(path, {"reason_message": "Restored from a backup"}, key="again")
    assert sent.data["attempt_status"] == sent.data["delivery_status"] == "delivered"
    assert (sent.data["delivery_trigger"], sent.data["attempt_number"]) == ("manual_resend", 2)
    assert sent.data["reason_message"] == "Restored from a backup"
    first, second = receiver.received
    assert (first.path, second.path) == ("/hooks", "/moved")
    assert first.body == second.body
    assert api.post(path, {"reason_message": "Restored from a backup"}, key="again").data == sent.data
    assert len(receiver.received) == 2
    delivery.refresh_from_db()
    assert (delivery.automatic_attempt_count, delivery.attempt_count) == (1, 2)


def test_a_failed_resend_leaves_what_was_delivered_delivered(api, receiver, delivered):
    receiver.answer(500)
    sent = api.post(f"/v1/webhook-deliveries/{only_delivery().id}/resend")

    assert (sent.data["attempt_status"], sent.data["delivery_status"]) == ("failed", "delivered")
    assert sent.data["error_category"] == "webhook_http_5xx"


def test_a_given_up_delivery_is_delivered_by_hand(api, environment, receiver):
    receiver.answer(*[500] * 9)
    listen(environment, receiver, "order.created")
    stories.open_order(environment)
    at = timezone.now()
    for _ in range(9):
        tell(at=at)
        at = only_delivery().due_at or at
    assert only_delivery().status == "failed"

    sent = api.post(f"/v1/webhook-deliveries/{only_delivery().id}/resend")
    assert sent.data["delivery_status"] == "delivered"
    assert sent.data["attempt_number"] == 10


def test_what_cannot_be_sent_again(api, environment, receiver, delivered):
    delivery = only_delivery()
    path = f"/v1/webhook-deliveries/{delivery.id}/resend"
    receiver.answer(500)
    stories.open_order(environment)
    tell()
    waiting = WebhookDelivery.objects.get(status="pending")
    refused = api.post(f"/v1/webhook-deliveries/{waiting.id}/resend")
    assert (refused.status_code, refused.code) == (409, "WEBHOOK_DELIVERY_IN_FLIGHT")

    assert keeping.erase_payloads(at=timezone.now() + timedelta(days=29)) == 0
    assert keeping.erase_payloads(at=timezone.now() + timedelta(days=31)) == 2
    assert api.post(path).code == "WEBHOOK_EVENT_PAYLOAD_EXPIRED"
    assert "payload" not in api.get(f"/v1/webhook-events/{delivery.webhook_event_id}").data

    api.patch(f"/v1/webhook-endpoints/{delivery.webhook_endpoint_id}", {"enabled": False})
    assert api.post(path).code == "WEBHOOK_ENDPOINT_NOT_ACTIVE"
    endpoints.delete_endpoint(webhook_endpoint_id=delivery.webhook_endpoint_id, actor=actors.system(environment.id))
    assert api.post(path).code == "WEBHOOK_ENDPOINT_NOT_ACTIVE"
    assert WebhookDeliveryAttempt.objects.filter(trigger="manual_resend").count() == 0


def test_two_who_send_it_again_at_once_send_it_once(environment, receiver, delivered):
    hold = threading.Event()
    receiver.answer(Scripted(hold=hold))
    delivery, actor = only_delivery(), actors.system(environment.id)
    assert receiver.arrived.acquire(timeout=10)

    def work():
        try:
            resending.resend(webhook_delivery_id=delivery.id, actor=actor)
        finally:
            connection.close()

    first = threading.Thread(target=work)
    first.start()
    assert receiver.arrived.acquire(timeout=10)
    with pytest.raises(resending.WebhookDeliveryInFlight):
        resending.resend(webhook_delivery_id=delivery.id, actor=actor)
    hold.set()
    first.join()
    assert len(receiver.received) == 2


def test_a_test_event_is_marked_and_hidden_and_tried_once(api, environment, receiver):
    endpoint, secret = listen(environment, receiver, "order.closed")
    path = f"/v1/webhook-endpoints/{endpoint.id}/test-events"

    sent = api.post(path, {"event_type": "order.paid"})
    assert (sent.data["delivery_trigger"], sent.data["delivery_status"]) == ("test_event", "delivered")
    event = receiver.received[0].verified(secret)
    assert event["test"] is True
    assert event["event_type"] == "order.paid"
    assert event["request"] is None
    assert event["data"]["payment_status"] == "paid"
    assert api.get("/v1/webhook-events").data == []
    (shown,) = api.get("/v1/webhook-events", {"include": "test_events"}).data
    assert (shown["event_origin"], shown["test"]) == ("test_api", True)

    receiver.answer(500)
    failed = api.post(path, {"event_type": "refund.created"})
    assert (failed.data["attempt_status"], failed.data["delivery_status"]) == ("failed", "failed")
    tell(at=timezone.now() + timedelta(days=1))
    assert len(receiver.received) == 2
    assert api.post(path, {"event_type": "order.vanished"}).code == "INVALID_EVENT_TYPE"


def test_every_type_has_a_sample_that_can_be_sent(api, environment, receiver):
    endpoint, secret = listen(environment, receiver, "order.closed")
    (group,) = api.get("/v1/webhook-event-types").data
    for type in group["event_types"]:
        sent = api.post(f"/v1/webhook-endpoints/{endpoint.id}/test-events", {"event_type": type})
        assert sent.data["delivery_status"] == "delivered"
    assert receiver.types() == group["event_types"]
    assert all(message.verified(secret)["data"] for message in receiver.received)


def test_what_was_told_of_an_order_in_one_statement(environment, receiver, delivered, django_assert_num_queries):
    stories.open_order(environment)
    tell()
    with django_assert_num_queries(1):
        (found,) = selectors.deliveries_of(delivered)
        shown = (found.webhook_event.type, found.webhook_endpoint.url, found.status)
    assert shown == ("order.created", receiver.url(), "delivered")
