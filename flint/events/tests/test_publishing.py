"""From what happened to what is told: each fact once, nothing lost, and next to nothing where nobody listens."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint import actors, celery
from flint.celery import collecting
from flint.events import services as events
from flint.events import tasks
from flint.events.models import Event, UntoldEvent, WebhookDelivery, WebhookEvent
from flint.events.tests.telling import endpoint_at, listen, publish, tell, told
from flint.events.webhooks import endpoints, keeping, publishing, registry
from flint.testing import stories

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://shop.example.com/hooks"


def test_what_happens_is_told_by_itself(environment, receiver):
    _, secret = listen(environment, receiver)
    with stories.settled():
        stories.paid_order(environment)

    assert sorted(receiver.types()) == ["order.created", "order.paid", "payment_intent.succeeded"]
    for message in receiver.received:
        assert message.verified(secret)["webhook_event_id"] == message.headers["webhook-id"]
    assert not UntoldEvent.objects.exists()


def test_where_nobody_listens_nothing_waits_and_no_task_is_started(environment):
    with collecting() as started:
        stories.paid_order(environment)

    assert not UntoldEvent.objects.exists()
    assert not Event.objects.filter(is_awaited=True).exists()
    assert [task.name for task, _ in started if task.name.startswith("flint.events")] == []
    assert publishing.publish_waiting() == 0
    assert told(environment) == []


def test_who_listens_costs_a_sale_no_statement_more(environment):
    def statements() -> int:
        order = stories.open_order(environment)
        with (
            collecting(),
            CaptureQueriesContext(
                connection,
            ) as captured,
        ):
            stories.pay(order)
        return len(captured)

    statements()
    alone = statements()
    endpoint_at(environment, URL)
    assert statements() == alone
    assert Event.objects.filter(is_awaited=True).exists()


def test_a_transaction_asks_once_to_be_told_of(environment):
    endpoint_at(environment, URL)
    order = stories.open_order(environment)
    with collecting() as started, transaction.atomic():
        for _ in range(3):
            events.record_apart(environment.id, "test", subject=order, actor=actors.system(environment.id))
    assert [(task.name, kwargs) for task, kwargs in started] == [
        (tasks.publish.name, {"environment_id": environment.id})
    ]

    with collecting() as started, transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            events.record_apart(environment.id, "test", subject=order, actor=actors.system(environment.id))
            _ = 1 / 0
        events.record_apart(environment.id, "test", subject=order, actor=actors.system(environment.id))
    assert len(started) == 1


def test_d165_nothing_is_told_before_the_commit(environment):
    """What is queued commits with its fact: who publishes meanwhile finds nothing, and nobody was asked to."""
    endpoint_at(environment, URL)
    publish()
    found = []

    def look():
        try:
            found.append(publishing.publish(environment.id))
        finally:
            connection.close()

    with collecting() as started:
        with transaction.atomic():
            stories.open_order(environment)
            other = threading.Thread(target=look)
            other.start()
            other.join()
            assert (found, started) == ([0], [])
        assert [task.name for task, _ in started] == [tasks.publish.name]
    publish()
    assert told(environment) == ["order.created"]


def test_d165_what_is_rolled_back_is_told_to_nobody(environment):
    endpoint_at(environment, URL)
    with collecting() as started, pytest.raises(ZeroDivisionError), transaction.atomic():
        stories.open_order(environment)
        _ = 1 / 0

    assert started == []
    assert not UntoldEvent.objects.filter(event__type="order.created").exists()
    publish()
    assert told(environment) == []


def test_with_the_broker_down_it_is_told_late_and_once(environment, receiver, monkeypatch):
    listen(environment, receiver, "order.created")

    class Down:
        def __call__(self, task, kwargs):
            raise ConnectionError("no broker")

    monkeypatch.setattr(celery, "_deliver", Down())
    order = stories.open_order(environment)
    monkeypatch.undo()
    assert UntoldEvent.objects.filter(event__order_id=order.id).count() == 1

    tell()
    tell()
    assert [message.event["data"]["order_id"] for message in receiver.received] == [order.id]
    assert not UntoldEvent.objects.exists()


def test_two_at_the_same_queue_tell_each_fact_once(environment):
    endpoint_at(environment, URL)
    for _ in range(4):
        stories.open_order(environment)
    gate, counts = threading.Barrier(4), []

    def work():
        try:
            gate.wait()
            counts.append(publishing.publish(environment.id))
        finally:
            connection.close()

    with collecting():
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert told(environment) == ["order.created"] * 4
    assert sum(counts) == 5
    assert list(WebhookEvent.objects.order_by("position").values_list("position", flat=True)) == [1, 2, 3, 4]
    assert WebhookDelivery.objects.count() == 4


def test_one_that_comes_while_another_is_at_it_is_not_left_behind(environment):
    """Who finds the feed locked leaves; who holds it looks again after its commit."""
    endpoint_at(environment, URL)
    publish()
    stories.open_order(environment)
    left: list[int] = []
    real = publishing._write

    def meanwhile(*args):
        if not left:
            stories_of_another_thread = threading.Thread(target=happen)
            stories_of_another_thread.start()
            stories_of_another_thread.join()
        real(*args)

    def happen():
        try:
            stories.open_order(environment)
            left.append(publishing.publish(environment.id))
        finally:
            connection.close()

    publishing._write = meanwhile
    try:
        with collecting():
            publishing.publish(environment.id)
    finally:
        publishing._write = real
    assert left == [0]
    assert told(environment) == ["order.created"] * 2


def test_one_that_cannot_be_told_holds_up_no_other_and_is_tried_again(environment, monkeypatch):
    endpoint_at(environment, URL)
    first, second = stories.open_order(environment), stories.open_order(environment)
    declaration = registry.declaration_of("order.created")

    def broken(fact):
        if fact.event.order_id == first.id:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return declaration.compose(fact)

    ailing = registry.Declaration(**{**vars(declaration), "compose": broken})
    at = timezone.now()
    monkeypatch.setitem(registry._by_cause, "order.created", [ailing])
    publish(at=at)
    assert [row.resource_id for row in WebhookEvent.objects.all()] == [second.id]
    (waiting,) = UntoldEvent.objects.all()
    assert (waiting.event.order_id, waiting.tries, waiting.error) == (first.id, 1, "DataError")
    publish(at=at + timedelta(seconds=9))
    assert UntoldEvent.objects.get().tries == 1

    monkeypatch.undo()
    publish(at=at + timedelta(seconds=11))
    assert told(environment) == ["order.created"] * 2
    assert not UntoldEvent.objects.exists()


def test_only_who_asked_is_told(environment, other_api):
    endpoint_at(environment, URL, "order.closed")
    endpoint_at(environment, URL + "/all")
    off, _ = endpoint_at(environment, URL + "/off", enabled=False)
    rival, _ = endpoint_at(other_api.environment, URL + "/rival")
    stories.open_order(environment)
    publish()

    (delivery,) = WebhookDelivery.objects.select_related("webhook_endpoint")
    assert delivery.webhook_endpoint.url == URL + "/all"
    assert not off.deliveries.exists()
    assert not rival.deliveries.exists()


def test_a_request_is_named_and_the_background_is_not(api, environment):
    endpoint_at(environment, URL)
    made = api.post(
        "/v1/orders",
        {"line_items": [{"name": "Tea", "unit_price_money": {"amount": 100, "currency": "EUR"}}]},
        key="my-key",
        headers={"X-Request-Id": "my-request"},
    )
    stories.open_order(environment)
    publish()

    asked, by_itself = WebhookEvent.objects.order_by("position")
    assert asked.resource_id == made.data["order_id"]
    assert asked.request_id == "my-request"
    assert '"request":{"id":"my-request","idempotency_key":"my-key"}' in asked.body
    assert '"request":null' in by_itself.body


def test_where_nobody_listens_any_more_telling_ends_and_begins_again(environment):
    endpoint, _ = endpoint_at(environment, URL)
    at = timezone.now() + timedelta(days=8)
    assert keeping.close_feeds(at=at) == 0
    stories.open_order(environment)
    publish()

    endpoints.delete_endpoint(webhook_endpoint_id=endpoint.id, actor=actors.system(environment.id))
    assert keeping.close_feeds(at=timezone.now() + timedelta(days=6)) == 0
    assert keeping.close_feeds(at=at) == 1
    publish()
    stories.open_order(environment)
    assert not UntoldEvent.objects.exists()

    endpoint_at(environment, URL)
    stories.open_order(environment)
    publish()
    assert told(environment) == ["order.created"] * 2
    assert list(WebhookEvent.objects.order_by("position").values_list("position", flat=True)) == [1, 2]
