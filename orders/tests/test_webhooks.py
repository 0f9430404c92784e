"""What merchants are told of orders: as they stood after each change, however late it is told."""

import json

import pytest
from django.utils import timezone

from flint.events.models import WebhookEvent
from flint.events.tests.telling import endpoint_at, publish, told
from flint.testing import stories
from flint.testing.stories import eur, line
from orders import services
from orders.as_of import read_order_after
from orders.models import Order

pytestmark = pytest.mark.django_db(transaction=True)

BASE = {"order_id", "order_number", "status", "payment_status", "refund_status", "resource_updated_at"}


@pytest.fixture(autouse=True)
def heard(environment):
    """Somebody listens."""
    endpoint_at(environment, "https://shop.example.com/hooks")


def messages(environment) -> list[dict]:
    rows = WebhookEvent.objects.filter(environment=environment).order_by("position")
    return [json.loads(row.body) for row in rows]


def test_a_new_order_is_told_with_its_origin(environment):
    order = stories.open_order(environment)
    publish()

    (event,) = messages(environment)
    assert event["event_type"] == "order.created"
    assert set(event["data"]) == BASE | {"origin"}
    assert event["data"]["origin"] == order.origin


def test_one_edit_is_told_once_whatever_it_changed(environment):
    order = stories.open_order(environment)
    actor = stories.actor_in(environment)
    services.update_order(
        order_id=order.id,
        data={"buyer_note": "Ring", "requested_tip": {"amount_money": eur(100), "name": "Tip"}},
        actor=actor,
    )
    services.add_line_items(order_id=order.id, line_items=[line(500), line(700)], actor=actor)
    publish()
    publish()

    assert told(environment) == ["order.created", "order.updated", "order.updated"]


def test_late_is_no_later(environment):
    """Each message shows the order as its own change left it, though all are written when everything is over."""
    order = stories.open_order(environment)
    stories.pay(order)
    services.close_order(order_id=order.id, actor=stories.actor_in(environment))
    publish()

    events = messages(environment)
    shown = [
        (e["event_type"], e["data"]["status"], e["data"]["payment_status"]) for e in events if "status" in e["data"]
    ]
    assert shown == [
        ("order.created", "open", "unpaid"),
        ("order.paid", "open", "paid"),
        ("order.closed", "closed", "paid"),
    ]
    stamps = [e["data"]["resource_updated_at"] for e in events if "resource_updated_at" in e["data"]]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) == len(stamps)


def test_a_mirror_that_is_told_in_any_order_ends_where_the_order_is(environment, api):
    order = stories.open_order(environment)
    stories.pay(order)
    services.close_order(order_id=order.id, actor=stories.actor_in(environment))
    publish()

    mirror = {}
    for event in reversed(messages(environment)):
        data = event["data"]
        if "resource_updated_at" in data and data["resource_updated_at"] > mirror.get("resource_updated_at", ""):
            mirror = data
    now = api.get(f"/v1/orders/{order.id}").data
    for name in ("status", "payment_status", "refund_status"):
        assert mirror[name] == now[name]
    assert mirror["resource_updated_at"] == now["updated_at"]


def test_customers_are_told_of(environment):
    actor = stories.actor_in(environment)
    customer = services.create_customer(data={"email": "ada@buyer.example", "internal_note": "Pays late"}, actor=actor)
    services.update_customer(customer_id=customer.id, data={"name": "Ada"}, actor=actor)
    publish()

    first, second = messages(environment)
    assert (first["event_type"], second["event_type"]) == ("customer.created", "customer.updated")
    assert second["data"]["name"] == "Ada"
    assert second["data"]["version"] == 2
    assert "internal_note" not in second["data"]


def test_an_order_after_an_event_takes_one_statement(environment, django_assert_num_queries):
    order = stories.paid_order(environment)
    for event in order.events.order_by("sequence"):
        with django_assert_num_queries(1):
            then = read_order_after(event)
        assert (then.total_amount, then.paid_amount) == (event.total_amount, event.paid_amount)
        assert then.event_count >= event.sequence
    assert then.updated_at == Order.objects.get(id=order.id).updated_at
    assert timezone.is_aware(then.updated_at)
