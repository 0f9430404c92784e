"""The receipt as a page: for whoever has its address, and for nobody else."""

from datetime import timedelta

import pytest
from django.test import Client

from flint.ids import new_id
from flint.languages import LANGUAGES, Language
from flint.testing import stories
from flint.testing.stories import eur, line
from payments.messages import addresses
from payments.messages.addresses import receipt_url
from payments.models import CheckoutSession
from payments.tests.mails import ADA, last_mail, paid


def path_of(order, code: str = "en") -> str:
    return receipt_url(order, Language(code)).removeprefix("http://testserver")


@pytest.fixture
def order(environment):
    sold = line(2_450, name="House <b>espresso</b>", quantity=2)
    return paid(environment, sold, requested_tip={"amount_money": eur(100)})


def test_it_shows_what_was_bought_and_not_by_whom(order, merchant):
    response = Client().get(path_of(order))
    shown = response.content.decode()
    assert response.status_code == 200
    for fact in ("€49.00", "€50.00", "House &lt;b&gt;espresso&lt;/b&gt;", "2 × €24.50", "Visa •••• 4242"):
        assert fact in shown
    assert order.order_number in shown and merchant.email in shown and "This is a test" in shown
    assert ADA not in shown and "<b>" not in shown and "<form" not in shown


def test_the_mail_leads_to_it(order):
    url = next(each for each in last_mail().body.split() if each.startswith("http"))
    assert Client().get(url.removeprefix("http://testserver")).status_code == 200


@pytest.mark.parametrize("code", LANGUAGES)
def test_it_speaks_the_buyers_language(order, code):
    shown = Client().get(path_of(order, code)).content.decode()
    assert f'<html lang="{code}">' in shown and Language(code).say("What you paid for") in shown


def test_it_follows_the_order(order):
    stories.refund(order, amount_money=eur(1_000))
    assert "-€10.00" in Client().get(path_of(order)).content.decode()


def test_nobody_makes_one_up(order, environment):
    token = path_of(order).split("/r/")[1].split("?")[0]
    other = paid(environment)
    stolen = token.replace(order.id, other.id)
    for wrong in (token[:-1] + ("A" if token[-1] != "A" else "B"), order.id, stolen, "x", f"{token}.x", new_id("ord")):
        response = Client().get(f"/r/{wrong}")
        assert response.status_code == 404 and order.order_number not in response.content.decode()


def test_it_ends_after_a_good_year(order, monkeypatch):
    path = path_of(order)
    assert Client().get(path).status_code == 200
    monkeypatch.setattr(addresses, "KEPT_FOR", timedelta(seconds=-1))
    assert Client().get(path).status_code == 404


def test_there_is_none_of_what_is_not_paid(environment):
    assert Client().get(path_of(stories.open_order(environment))).status_code == 404


def test_it_is_kept_out_of_caches_frames_and_search_engines(order):
    response = Client().get(path_of(order))
    assert "no-store" in response["Cache-Control"] and response["X-Robots-Tag"] == "noindex"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert "script-src 'self'" in response["Content-Security-Policy"] and "Set-Cookie" not in response
    assert Client().post(path_of(order)).status_code == 405


def test_the_paid_page_leads_to_it(environment):
    order = stories.open_order(environment)
    session = CheckoutSession.objects.get(id=stories.checkout(order).session.id)
    browser = Client()
    browser.get(f"/checkout/{session.id}/{session.launch_secret.reveal()}")
    shown = browser.get(f"/checkout/{session.id}")
    key = shown.context["attempt_key"]
    form = {
        "attempt_key": key,
        "amount": order.outstanding_amount,
        "currency": order.currency,
        "number": "4242424242424242",
        "expiry": "12/40",
        "cvc": "123",
    }
    browser.post(f"/checkout/{session.id}/pay", form)
    paid_page = browser.get(f"/checkout/{session.id}").content.decode()
    assert f"/r/{order.id}." in paid_page
