"""Endpoints and deliveries in the admin, and the buttons of developers."""

import pytest
from django.urls import reverse

from flint.events.models import WebhookDelivery, WebhookEndpoint
from flint.events.tests.telling import listen, only_delivery, tell
from flint.merchants.models import Role
from flint.testing import stories
from flint.testing.receiver import Scripted
from flint.testing.staff import page, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def developer(merchant):
    return signed_in(merchant, Role.DEVELOPER)


def at(name: str, *args: str) -> str:
    return reverse(f"admin:events_{name}", args=args)


def test_an_endpoint_is_shown_without_its_secret(developer, environment, receiver):
    endpoint, secret = listen(environment, receiver, "order.paid")
    shown = page(developer.get(at("webhookendpoint_change", endpoint.id)))

    assert receiver.url() in shown
    assert "order.paid" in shown
    assert secret not in shown
    assert receiver.url() in page(developer.get(at("webhookendpoint_changelist"), {"q": "127.0.0.1"}))


def test_a_test_is_sent_and_its_outcome_shown(developer, environment, receiver):
    endpoint, secret = listen(environment, receiver, "order.paid")
    sent = developer.post(at("webhookendpoint_test", endpoint.id), {"event_type": "refund.updated"}, follow=True)

    assert "The endpoint took it and answered 200." in page(sent)
    assert receiver.received[0].verified(secret)["test"] is True
    refused = developer.post(at("webhookendpoint_test", endpoint.id), {"event_type": "none"}, follow=True)
    assert "There is no such event type here" in page(refused)


def test_it_is_switched_off_and_on(developer, environment, receiver):
    endpoint, _ = listen(environment, receiver)
    for wanted, now in (("no", False), ("yes", True)):
        developer.post(at("webhookendpoint_switch", endpoint.id), {"enabled": wanted})
        endpoint.refresh_from_db()
        assert endpoint.enabled is now
    assert developer.get(at("webhookendpoint_switch", endpoint.id)).status_code == 405


def test_a_delivery_shows_its_tries_and_is_sent_again(developer, environment, receiver):
    receiver.answer(*[Scripted(500, body=b"<b>out of stock</b>")] * 9)
    listen(environment, receiver, "order.created")
    order = stories.open_order(environment)
    tell()
    for _ in range(8):
        tell(at=only_delivery().due_at)
    delivery = only_delivery()
    assert delivery.status == "failed"

    start = page(developer.get(reverse("admin:index")))
    assert "messages to webhook endpoints were given up in the last week" in start
    assert delivery.id in page(developer.get(at("webhookdelivery_changelist"), {"work": "failed"}))
    assert delivery.id in page(developer.get(at("webhookdelivery_changelist"), {"q": order.id}))
    shown = page(developer.get(at("webhookdelivery_change", delivery.id)))
    assert shown.count("The endpoint answered 500.") >= 9
    assert "&lt;b&gt;out of stock&lt;/b&gt;" in shown

    sent = developer.post(at("webhookdelivery_resend", delivery.id), {"reason": "Fixed it"}, follow=True)
    shown = page(sent)
    assert "The endpoint took it and answered 200." in shown
    assert "Fixed it" in shown
    assert only_delivery().status == "delivered"
    assert "given up in the last week" not in page(developer.get(reverse("admin:index")))


def test_support_neither_sees_nor_sends(merchant, environment, receiver):
    endpoint, _ = listen(environment, receiver, "order.created")
    stories.open_order(environment)
    tell()
    support = signed_in(merchant, Role.SUPPORT)
    assert support.get(at("webhookendpoint_changelist")).status_code == 403
    assert support.post(at("webhookdelivery_resend", only_delivery().id)).status_code in (403, 404)
    assert support.post(at("webhookendpoint_test", endpoint.id), {"event_type": "order.paid"}).status_code in (403, 404)
    assert len(receiver.received) == 1
    assert WebhookDelivery.objects.count() == WebhookEndpoint.objects.count() == 1


def test_a_list_takes_as_many_statements_however_long_it_is(
    developer, environment, receiver, django_assert_max_num_queries
):
    listen(environment, receiver, "order.created")
    for _ in range(4):
        stories.open_order(environment)
    tell()
    with django_assert_max_num_queries(12):
        assert page(developer.get(at("webhookdelivery_changelist"))).count("wdel_") >= 4
