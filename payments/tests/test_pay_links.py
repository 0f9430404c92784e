"""Pay links: an address for what an order still owes, whatever happened to it before."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from flint.merchants.tests.factories import ApiKeyFactory
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.client import ApiClient
from flint.testing.stories import eur, wire
from orders.models import Order
from payments.models import CheckoutSession, PayLink
from payments.services.sessions.ending import expire_if_due
from payments.tests.acts import DECLINED, THREE_D_SECURE, VISA, charged, kinds_of, pay
from refunds.tests.disputing import dispute

pytestmark = pytest.mark.django_db(transaction=True)

CARD = {"number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment)


def make(api, order: Order, **options) -> str:
    """Make a pay link and return its path."""
    made = api.post(f"/v1/orders/{order.id}/pay-link", **options)
    assert made.status_code == 201, made.content
    return re.sub(r"^https?://[^/]+", "", made.data["url"])


def visit(path: str) -> str:
    """Open a pay link in a browser of its own; return what it shows at last."""
    answer = Client().get(path, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def pay_on_page(path: str, **card: str) -> str:
    """Open a pay link and pay on the page it leads to, as a browser does; return what it shows then."""
    browser = Client()
    page = browser.get(path, follow=True)
    text = page.content.decode()
    hidden = dict(re.findall(r'<input type="hidden" name="(attempt_key|amount|currency)" value="([^"]*)"', text))
    here = page.redirect_chain[-1][0]
    return browser.post(f"{here}/pay", {**hidden, **CARD, **card}, follow=True).content.decode()


def abandoned(order: Order) -> None:
    session = order.checkout_sessions.get(status="open")
    expire_if_due(session.id, at=timezone.now() + timedelta(days=2))


def test_the_address_stays_and_collects_what_is_owed_then(api, order):
    path = make(api, order)
    assert "€100.00" in visit(path)

    stories.refund(stories.paid_order(order.environment))  # Somebody else's order changes nothing here.
    line = {"name": "Post", "unit_price_money": wire(eur(300))}
    api.post(f"/v1/orders/{order.id}/line-items", {"line_items": [line]})

    assert "€103.00" in visit(path)
    assert "paid" in pay_on_page(path).lower()
    assert_books(order, paid=10_300, outstanding=0, payment_status="paid")
    assert "Nothing is owed any more" in visit(path)
    assert "pay_link.created" in kinds_of(order)


def test_visits_share_the_orders_one_open_session(api, order):
    first, second = make(api, order), make(api, order)
    assert first != second
    for path in (first, second, first):
        visit(path)
    assert order.checkout_sessions.count() == 1


def test_after_a_decline_an_abandoned_checkout_and_a_part_the_rest_is_collected(api, order):
    path = make(api, order)
    assert pay(api, order, DECLINED).data["payment_attempt"]["status"] == "failed"
    visit(path)
    abandoned(order)
    leg = api.post(f"/v1/orders/{order.id}/payment-intents", {"amount_money": wire(eur(4_000))}).data["payment_intent"]
    part = {
        "action": "confirm_payment_intents",
        "completion_behavior": "partial_payment",
        "payment_intents": [{"payment_intent_id": leg["payment_intent_id"], "token": VISA}],
    }
    assert api.post(f"/v1/orders/{order.id}/pay", part).status_code == 200

    assert "€60.00" in visit(path)
    pay_on_page(path)

    assert_books(order, paid=10_000, outstanding=0)


def test_a_balance_that_was_opened_again_is_collected(api, environment):
    order = stories.open_order(environment)
    path = make(api, order)
    pay_on_page(path)
    stories.refund(order, amount_money=eur(2_500), balance_effect="reopen")

    assert "€25.00" in visit(path)
    pay_on_page(path)

    assert_books(order, paid=12_500, refunded=2_500, outstanding=0)


def test_a_session_on_the_merchants_own_page_makes_room(api, order):
    path = make(api, order)
    embedded = stories.checkout(order, surface="embedded").session

    visit(path)

    embedded.refresh_from_db()
    assert (embedded.status, embedded.terminal_reason) == ("invalidated", "superseded")
    assert CheckoutSession.objects.get(order=order, status="open").surface == "hosted"


def test_while_somebody_pays_a_visitor_is_told_and_may_take_over(api, order):
    path = make(api, order)
    waiting = pay(api, order, THREE_D_SECURE).data["payment_attempt"]
    assert waiting["status"] == "requires_action"

    text = visit(path)
    assert "Somebody is paying this order right now" in text and "stop that payment" in text
    assert not order.checkout_sessions.exists()

    taken = Client().post(path, follow=True).content.decode()
    assert "€100.00" in taken
    pay_on_page(path)
    assert_books(order, paid=10_000, outstanding=0)
    assert list(order.payment_attempts.order_by("created_at").values_list("status", flat=True)) == [
        "canceled",
        "succeeded",
    ]


def test_what_cannot_be_collected_says_so_kindly(api, order, environment):
    path = make(api, order)
    leg = api.post(f"/v1/orders/{order.id}/payment-intents", {}).data["payment_intent"]["payment_intent_id"]
    assert "This order cannot be paid right now" in visit(path)
    api.post(f"/v1/orders/{order.id}/payment-intents/{leg}/cancel", {})
    api.post(f"/v1/orders/{order.id}/close", {})
    assert "This order is closed" in visit(path)
    assert not order.checkout_sessions.exists()
    assert Client().get("/o/not-a-link").status_code == 404
    assert Client().head(path).status_code == 405


def test_what_a_dispute_took_is_not_asked_for_until_staff_decide(api, environment):
    order = stories.open_order(environment)
    path = make(api, order)
    pay_on_page(path)
    dispute(order)
    assert Order.objects.get(id=order.id).is_collection_blocked
    assert "This order cannot be paid right now" in visit(path)


def test_a_link_is_made_only_for_what_can_be_owed(api, other_api, order, environment):
    assert other_api.post(f"/v1/orders/{order.id}/pay-link").code == "ORDER_NOT_FOUND"
    paid = stories.paid_order(environment)
    assert api.post(f"/v1/orders/{paid.id}/pay-link").code == "ORDER_ALREADY_PAID"
    api.post(f"/v1/orders/{order.id}/close", {})
    assert api.post(f"/v1/orders/{order.id}/pay-link").code == "ORDER_CLOSED"
    narrow = ApiClient(ApiKeyFactory(environment=environment, scopes=["commerce.orders.write"]).secret, environment)
    assert narrow.post(f"/v1/orders/{order.id}/pay-link").code == "INSUFFICIENT_SCOPE"
    assert not PayLink.objects.exists()


def test_a_repeat_of_the_request_makes_one_link(api, order):
    assert make(api, order, key="once") == make(api, order, key="once")
    assert PayLink.objects.count() == 1
    assert make(api, order) not in str(PayLink.objects.values("digest", "order_id").first())


def test_d026_a_corrected_order_is_paid_at_its_new_total_through_the_link(api, environment):
    order = stories.open_order(environment, total=5_500)
    path = make(api, order)
    assert pay(api, order, DECLINED).data["payment_attempt"]["status"] == "failed"
    line = order.line_items.get()
    edit = {"unit_price_money": wire(eur(4_000))}
    assert api.patch(f"/v1/orders/{order.id}/line-items/{line.id}", edit).status_code == 200

    pay_on_page(path)

    assert charged(order) == [4_000]
    assert_books(order, total=4_000, paid=4_000, outstanding=0)


def test_d122_after_an_edit_the_link_asks_for_the_rest_alone(api, environment):
    order = stories.open_order(environment)
    path = make(api, order)
    pay_on_page(path)
    line = {"name": "Post", "unit_price_money": wire(eur(1_500))}
    api.post(f"/v1/orders/{order.id}/line-items", {"line_items": [line]})

    assert "€15.00" in visit(path)
    pay_on_page(path)

    assert charged(order) == [10_000, 1_500]
    assert_books(order, total=11_500, paid=11_500, outstanding=0)
