"""Checkouts in the admin: what became of each, whose buyers left, and closing one."""

import pytest
from django.urls import reverse

from flint.merchants.models import Role
from flint.testing import stories
from flint.testing.staff import page, signed_in
from orders.models import Order
from payments.models import CheckoutSession
from payments.tests.acts import THREE_D_SECURE, nothing_moves, pay
from payments.tests.buyers import Buyer, buyer_of, over

LIST = "admin:payments_checkoutsession_changelist"


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment)


def reachable(order: Order, **data) -> Buyer:
    known = {"prefilled_customer_info": {"email": f"{order.order_number.lower()}@example.com"}}
    return buyer_of(order, customer_collection=known, **data)


def change(buyer: Buyer) -> str:
    return reverse("admin:payments_checkoutsession_change", args=[buyer.session_id])


def close(buyer: Buyer) -> str:
    return reverse("admin:payments_checkoutsession_close", args=[buyer.session_id])


def test_the_order_shows_its_checkouts(merchant, order):
    first = reachable(order)
    second = buyer_of(order, replace_checkout_session_id=first.session_id)

    shown = page(signed_in(merchant).get(reverse("admin:orders_order_change", args=[order.id])))

    for text in (first.session_id, second.session_id, first.session.contact_email, "Superseded", "Invalidated"):
        assert text in shown


def test_nothing_that_opens_a_checkout_is_shown(merchant, order):
    launched = stories.checkout(order)
    browser = signed_in(merchant, Role.OWNER)
    secrets = (launched.checkout_auth_token, CheckoutSession.objects.get().launch_secret.reveal())
    for where in (
        reverse(LIST),
        reverse("admin:payments_checkoutsession_change", args=[launched.session.id]),
        reverse("admin:orders_order_change", args=[order.id]),
    ):
        shown = page(browser.get(where))
        assert not any(secret in shown for secret in secrets)


def test_the_abandoned_ones(merchant, environment):
    def an_order() -> Order:
        return stories.open_order(environment)

    left, gone = reachable(an_order()), over(reachable(an_order()))
    unknown = buyer_of(an_order())
    paid, closed = reachable(done := an_order()), reachable(an_order())
    pay(paid, done)
    browser = signed_in(merchant)
    browser.post(close(closed))

    shown = page(browser.get(reverse(LIST), {"became": "abandoned"}))

    assert all(change(buyer) in shown for buyer in (left, gone))
    assert not any(change(buyer) in shown for buyer in (unknown, paid, closed))


def test_by_the_buyers_address(merchant, environment):
    buyers = [reachable(stories.open_order(environment)) for _ in range(2)]
    shown = page(signed_in(merchant).get(reverse(LIST), {"q": buyers[0].session.contact_email.upper()}))
    assert change(buyers[0]) in shown and change(buyers[1]) not in shown


def test_staff_close_one_in_their_own_name(merchant, order):
    buyer, browser = buyer_of(order), signed_in(merchant)
    assert close(buyer) in page(browser.get(change(buyer)))

    assert browser.post(close(buyer), {"reason": " Called, will pay by invoice "}).status_code == 302

    session = buyer.session
    assert (session.status, session.terminal_reason) == ("closed", "api")
    assert session.closed_reason == "Called, will pay by invoice"
    event = order.events.order_by("-sequence").first()
    assert (event.type, event.actor_kind, event.actor_id) == ("checkout_session.closed", "staff", str(browser.user.pk))
    shown = page(browser.get(change(buyer)))
    assert "Called, will pay by invoice" in shown and close(buyer) not in shown


def test_not_while_it_is_being_paid_and_not_twice(merchant, order):
    buyer, browser = buyer_of(order), signed_in(merchant)
    pay(buyer, order, THREE_D_SECURE)
    with nothing_moves(order):
        told = browser.post(close(buyer), follow=True)
    assert "A payment of this checkout is under way" in page(told)
    assert buyer.session.status == "open"


def test_developers_look_and_do_not_touch(merchant, order):
    buyer, browser = buyer_of(order), signed_in(merchant, Role.DEVELOPER)
    assert close(buyer) not in page(browser.get(change(buyer)))
    assert browser.post(close(buyer)).status_code == 403
    assert browser.get(close(buyer)).status_code == 403
    assert CheckoutSession.objects.get().status == "open"
