"""Saved cards in the admin, and how payments without an order are told from orders there."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import deliver_notices, eur, wire
from orders.models import Order
from orders.services import create_customer
from payments.models import PaymentMethod
from payments.tests.acts import DECLINED, hand_in, save_card, saved_card

METHODS = "admin:payments_paymentmethod_changelist"
ORDERS = "admin:orders_order_changelist"


@pytest.fixture
def support(merchant):
    return signed_in(merchant, "support")


@pytest.fixture
def customer(environment):
    return create_customer(data={"email": "ada@post.example", "name": "Ada"}, actor=stories.actor_in(environment))


def plain(text: str) -> str:
    """The words of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def shown(browser, method_id) -> str:
    return page(browser.get(reverse("admin:payments_paymentmethod_change", args=[method_id])))


def test_a_saved_card_is_shown_with_its_history_and_without_its_token(api, customer, support):
    method = saved_card(api, customer)
    api.post(f"/v1/payment-methods/{method}/set-default")
    api.call("DELETE", f"/v1/payment-methods/{method}")

    text = shown(support, method)

    row = PaymentMethod.objects.get()
    words = plain(text)
    for part in ("Visa •••• 4242", "Removed", "Ada", f"{row.exp_month:02}/{row.exp_year}", "Without the customer"):
        assert part in words, part
    steps = ["Begun to be saved", "· Saved ·", "Made the customer's default", "· Removed ·"]
    places = [text.replace("&#x27;", "'").index(step) for step in steps]
    assert places == sorted(places)
    assert row.reference not in text
    assert row.customer_reference not in text


def test_a_card_that_was_not_saved_says_why(api, customer, support):
    saving = save_card(api, customer)
    hand_in(api, saving, DECLINED)
    deliver_notices(customer.environment)

    text = shown(support, saving.data["payment_method"]["payment_method_id"])

    assert "Not saved: card declined" in text
    assert "The card was declined." in text
    assert "No card yet" in text
    assert saving.data["client_setup"]["stripe"]["setup_intent"]["client_secret"] not in text


@pytest.mark.parametrize("term", ["4242", "the id", "the customer"])
def test_a_card_is_found(api, customer, environment, support, term):
    other = create_customer(data={"email": "bob@post.example"}, actor=stories.actor_in(environment))
    method, another = saved_card(api, customer), saved_card(api, other, "pm_card_mastercard")
    wanted = {"the id": method, "the customer": customer.id}.get(term, term)

    text = page(support.get(reverse(METHODS), {"q": wanted}))

    assert method in text
    assert another not in text


def test_the_list_takes_as_many_statements_for_many(api, customer, support):
    def statements() -> int:
        with CaptureQueriesContext(connection) as taken:
            page(support.get(reverse(METHODS)))
        return len(taken)

    saved_card(api, customer)
    statements()
    few = statements()
    for _ in range(3):
        saved_card(api, customer)

    assert statements() == few


class TestPaymentsWithoutAnOrder:
    """Staff see the record behind such a payment, and that it is no sale of an order."""

    @pytest.fixture
    def hidden(self, api):
        body = {"amount_money": wire(eur(10_000)), "payment_options": ["card"]}
        intent = api.post("/v1/payment-intents", body).data["payment_intent"]["payment_intent_id"]
        api.post(f"/v1/payment-intents/{intent}/confirm", {"payment_source_token": "pm_card_visa"})
        return Order.objects.get(payment_intents__id=intent)

    def test_the_page_says_so(self, environment, hidden, support):
        order = stories.paid_order(environment)

        text = page(support.get(reverse("admin:orders_order_change", args=[hidden.id])))
        other = page(support.get(reverse("admin:orders_order_change", args=[order.id])))

        assert "Payment without an order" in text
        assert f"Payment {hidden.order_number}" in text
        assert "Payment without an order" not in other

    @pytest.mark.parametrize(("kind", "shows"), [("", "both"), ("order", "order"), ("payment", "hidden")])
    def test_the_list_tells_them_apart(self, environment, hidden, support, kind, shows):
        order = stories.paid_order(environment)

        text = page(support.get(reverse(ORDERS), {"kind": kind} if kind else {}))

        assert (hidden.id in text, order.id in text) == (shows in ("both", "hidden"), shows in ("both", "order"))
        badges = re.findall(r"fl-badge[^>]*>Payment without an order<", text)
        assert len(badges) == (1 if shows != "order" else 0)

    def test_the_payment_says_so(self, hidden, support):
        leg = hidden.payment_intents.get()

        text = page(support.get(reverse("admin:payments_paymentintent_change", args=[leg.id])))

        assert f"{hidden.order_number} (payment without an order)" in text
