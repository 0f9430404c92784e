"""The refund button of the order page: one form, one refund, or a refusal in plain words with nothing moved."""

import re
import uuid

import pytest
from django.urls import reverse

from flint.celery import collecting
from flint.events.models import Event
from flint.merchants import selectors, services
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from flint.testing.stories import eur, line, settled
from flint.typed import money_typed
from orders.models import Order
from orders.services import close_order
from payments.tests.acts import DECLINED, at_once, goes_through_after_all, nothing_moves
from refunds.models import Refund


@pytest.fixture
def finance(merchant):
    return signed_in(merchant, "finance", first_name="Fay", last_name="Ito")


@pytest.fixture
def order(environment) -> Order:
    return stories.paid_order(environment, line(2_000, quantity=3, name="Bag"), line(4_000, name="Grinder"))


def url_of(order: Order) -> str:
    return reverse("admin:orders_order_refund", args=[order.id])


def form(browser, order: Order, **filled) -> dict:
    """Open the form and fill it in; what it carries hidden comes along."""
    token = re.search(r'name="token" value="([^"]+)"', page(browser.get(url_of(order))))[1]
    return {"token": token, "amount": "", "reason": "", "reason_message": "", **filled}


def send(browser, order: Order, data: dict):
    with settled():
        return browser.post(url_of(order), data, follow=True)


def units(order: Order, *counts: int) -> dict:
    lines = order.line_items.order_by("position")
    return {f"units_{each.id}": count for each, count in zip(lines, counts, strict=True)}


def test_the_form_shows_what_may_go_back(finance, order):
    stories.refund(
        order, line_items=[{"order_line_item_id": order.line_items.order_by("position")[0].id, "quantity": 1}]
    )
    shown = page(finance.get(url_of(order)))
    assert "€80.00" in shown and "2 of 3 units left" in shown and "1 of 1 unit left" in shown
    assert re.search(r"Visa •••• 4242</span>\s*<span[^>]*>up to €80.00", shown)
    assert not re.search(r'type="radio"[^>]*checked', shown), "nothing is chosen for anybody"


def test_everything_left_goes_back(finance, order):
    filled = form(finance, order, how="all", reason="requested_by_customer", reason_message="As agreed on the phone.")
    response = send(finance, order, filled)
    assert response.redirect_chain == [(reverse("admin:orders_order_change", args=[order.id]), 302)]
    assert "€100.00 goes back to the customer" in page(response)
    assert_books(order, paid=10_000, refunded=10_000, refund_pending=0, outstanding=0, refund_status="refunded")
    refund = Refund.objects.get(order=order)
    assert (refund.reason, refund.reason_message) == ("requested_by_customer", "As agreed on the phone.")
    event = Event.objects.get(order_id=order.id, type="refund.created")
    assert (event.actor_kind, event.actor_id, event.actor_label) == ("staff", str(finance.user.pk), "Fay Ito")
    assert event.command_key == filled["token"] and event.request_id
    assert reverse("admin:orders_order_refund", args=[order.id]) not in page(response), "nothing is left for the button"


def test_an_amount_goes_back(finance, order):
    send(finance, order, form(finance, order, how="amount", amount="12.5"))
    assert_books(order, refunded=1_250)


def test_units_of_lines_go_back(finance, order):
    send(finance, order, form(finance, order, how="lines", **units(order, 2, 0)))
    bag, grinder = Order.objects.get(id=order.id).line_items.order_by("position")
    assert (bag.refunded_quantity, bag.refunded_amount, grinder.refunded_amount) == (2, 4_000, 0)
    assert_books(order, refunded=4_000)


@pytest.mark.parametrize(
    ("filled", "words"),
    [
        ({"how": "amount", "amount": "100.01"}, "At most €100.00 can go back."),
        ({"how": "amount", "amount": "0"}, "above zero"),
        ({"how": "amount", "amount": ""}, "Write the amount like 12.50"),
        ({"how": "amount", "amount": "1,50"}, "Write the amount like 12.50"),
        ({"how": "amount", "amount": "-5"}, "Write the amount like 12.50"),
        ({"how": "amount", "amount": "1.234"}, "Write the amount like 12.50"),
        ({"how": "amount", "amount": "٣"}, "Write the amount like 12.50"),
        ({"how": "lines"}, "Say how many units"),
        ({"how": "lines", "units": (4, 0)}, "less than or equal to 3"),
        ({"how": "lines", "units": (-1, 0)}, "greater than or equal to 0"),
        ({"how": "all", "units": (1, 0)}, "more than one is filled in"),
        ({"how": "all", "amount": "1"}, "more than one is filled in"),
        ({"how": "lines", "units": (1, 0), "amount": "1"}, "both are filled in"),
        ({"how": "amount", "units": (1, 0), "amount": "1"}, "both are filled in"),
        ({}, "Choose what goes back."),
        ({"how": "everything"}, "Select a valid choice"),
        ({"how": "all", "reason": "bribery"}, "Select a valid choice"),
        ({"how": "all", "token": ""}, "This form is not complete"),
        ({"how": "all", "token": "x"}, "This form is not complete"),
    ],
)
def test_what_cannot_be_is_refused_in_plain_words_and_moves_nothing(filled, words, finance, order):
    filled = dict(filled)
    counted = units(order, *filled.pop("units", (0, 0)))
    with nothing_moves(order):
        response = send(finance, order, form(finance, order, **counted, **filled))
    assert response.status_code == 400 and not response.redirect_chain
    assert words in " ".join(response.content.decode().split())


def test_a_refused_form_keeps_what_was_filled_in_and_can_be_sent_again(finance, order):
    filled = form(finance, order, how="amount", amount="300", reason="duplicate", reason_message="Twice")
    shown = send(finance, order, filled).content.decode()
    assert 'value="300"' in shown and 'value="Twice"' in shown and filled["token"] in shown
    assert re.search(r'value="duplicate" selected', shown)
    send(finance, order, {**filled, "amount": "30"})
    assert_books(order, refunded=3_000)


def test_more_than_is_left_after_another_refund_is_refused(finance, order):
    filled = form(finance, order, how="amount", amount="60")
    stories.refund(order, amount_money=eur(5_000))
    with nothing_moves(order):
        response = send(finance, order, filled)
    assert "At most €50.00 can go back." in response.content.decode()


def test_a_form_sent_twice_is_one_refund(finance, order):
    filled = form(finance, order, how="amount", amount="40")
    send(finance, order, filled)
    with nothing_moves(order):
        again = page(send(finance, order, filled))
    assert "had been sent before, and refunded €40.00 then. Nothing more was refunded." in again
    assert_books(order, refunded=4_000)


def test_a_form_that_was_sent_cannot_be_filled_in_anew(finance, order):
    filled = form(finance, order, how="amount", amount="40")
    send(finance, order, filled)
    with nothing_moves(order):
        again = page(send(finance, order, {**filled, "amount": "10"}))
    assert "refunded €40.00 then" in again


def test_two_forms_are_two_refunds(finance, order):
    for _ in range(2):
        send(finance, order, form(finance, order, how="amount", amount="40"))
    assert_books(order, refunded=8_000)


def test_a_token_of_one_order_says_nothing_about_another(finance, order, environment):
    filled = form(finance, order, how="all")
    other = stories.paid_order(environment, total=700)
    send(finance, order, filled)
    send(finance, other, filled)
    assert_books(other, refunded=700)


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_by_eight_at_once_is_one_refund():
    merchant = services.create_merchant(name="Busy Shop", email="owner@busy.example")
    order = stories.paid_order(selectors.default_sandbox(merchant.id), total=10_000)
    browsers = [signed_in(merchant, "support") for _ in range(8)]
    data = {"token": str(uuid.uuid4()), "how": "amount", "amount": "10"}
    with collecting():
        answers = at_once(*(lambda browser=browser: browser.post(url_of(order), data) for browser in browsers))
    assert [answer.status_code for answer in answers] == [302] * 8
    assert Refund.objects.filter(order=order).count() == 1
    assert_books(order, refund_pending=1_000, refunded=0, processor=False)


def test_looking_at_the_form_refunds_nothing(finance, order):
    with nothing_moves(order):
        finance.get(url_of(order), {"how": "all", "token": str(uuid.uuid4())})
        finance.head(url_of(order))
        assert finance.put(url_of(order)).status_code == 405


def test_a_forged_form_refunds_nothing(merchant, order):
    browser = signed_in(merchant, "owner")
    browser.handler.enforce_csrf_checks = True
    with nothing_moves(order):
        assert browser.post(url_of(order), {"token": uuid.uuid4(), "how": "all"}).status_code == 403


def test_an_unpaid_order_has_no_button_and_its_form_says_why(finance, environment):
    order = stories.open_order(environment)
    assert url_of(order) not in page(finance.get(reverse("admin:orders_order_change", args=[order.id])))
    assert "Nothing is left to refund" in page(finance.get(url_of(order)))
    with nothing_moves(order):
        response = finance.post(url_of(order), {"token": uuid.uuid4(), "how": "all"})
    assert response.status_code == 400 and "not collected any money" in response.content.decode()


def test_money_collected_beyond_what_is_owed_is_red_and_can_go_back(finance, environment):
    order = stories.open_order(environment, total=6_600)
    stories.pay(order, payment_source={"token": DECLINED})
    close_order(order_id=order.id, actor=stories.actor_in(environment))
    goes_through_after_all(order)
    stories.deliver_notices(environment)
    shown = page(finance.get(reverse("admin:orders_order_change", args=[order.id])))
    assert re.search(r'fl-figure-bad">\s*<dt>Over-collected</dt><dd>€66.00', shown)
    assert "Payment received, €66.00 more than was owed" in shown
    send(finance, order, form(finance, order, how="all"))
    assert_books(order, refunded=6_600, credit=6_600, balance=0)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("12", "EUR", 1_200),
        ("12.5", "EUR", 1_250),
        ("12.50", "EUR", 1_250),
        (" 0.01 ", "EUR", 1),
        ("500", "JPY", 500),
        ("1.005", "KWD", 1_005),
    ],
)
def test_an_amount_is_read_to_the_last_digit(text, currency, amount):
    assert money_typed(text, currency).amount == amount
