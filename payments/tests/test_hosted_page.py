"""The hosted page over HTTP: who gets in, what a browser may do there, what is never written, and where it leads."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from flint.languages import Language
from flint.testing.stories import eur, wire
from orders.models import Order
from payments.checkout.access import COOKIE, WRONG_TRIES
from payments.checkout.forms import BadForm, amount_of
from payments.checkout.theme import contrast, readable_on, stylesheet
from payments.models import CheckoutCredential, CheckoutSession, PaymentAttempt
from payments.services.sessions.ending import expire_if_due
from payments.tests.acts import at_once, charged, later

pytestmark = pytest.mark.django_db(transaction=True)

CARD = {"number": "4242 4242 4242 4242", "expiry": "12/34", "cvc": "123"}


@pytest.fixture(autouse=True)
def nobody_tried_before():
    cache.clear()


def opened(api, amount: int = 1_000, **data):
    line = {"name": "Beans", "unit_price_money": wire(eur(amount))}
    order_id = api.post("/v1/orders", {"line_items": [line]}).data["order_id"]
    made = api.post("/v1/checkout-sessions", {"order_id": order_id, **data})
    assert made.status_code == 201, made.content
    return made.data["checkout_session"]


def link_of(session) -> str:
    return session["url"].removeprefix("http://testserver")


def page_of(session) -> str:
    return f"/checkout/{session['checkout_session_id']}"


def let_in(session, **options) -> Client:
    buyer = Client(**options)
    answer = buyer.get(link_of(session))
    assert (answer.status_code, answer.headers["Location"]) == (303, page_of(session))
    return buyer


def form_of(page) -> dict[str, str]:
    hidden = re.findall(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?', page.content.decode())
    return dict(hidden)


class TestWhoGetsIn:
    def test_only_the_right_link_does_and_it_is_forgotten_at_once(self, api):
        session = opened(api)
        link = link_of(session)
        wrong = Client().get(link[:-1] + ("y" if link.endswith("x") else "x"))
        assert (wrong.status_code, wrong.cookies) == (404, {})
        assert Client().get(page_of(session)).status_code == 404
        assert Client().get("/checkout/cs_unknown/secret").status_code == 404

        buyer = let_in(session)

        cookie = buyer.cookies[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", page_of(session))
        page = buyer.get(page_of(session))
        assert page.status_code == 200
        secret = link_of(session).rsplit("/", 1)[1]
        assert secret not in page.content.decode() and cookie.value not in page.content.decode()

    def test_cookies_are_sent_over_https_only_where_there_is_https(self, api, settings):
        settings.IS_HTTPS = True
        session = opened(api)
        assert let_in(session).cookies[COOKIE]["secure"] is True

    def test_one_session_opens_no_other(self, api, other_api):
        mine, others = opened(api), opened(other_api)
        buyer = let_in(mine)
        stolen = Client()
        stolen.cookies[COOKIE] = buyer.cookies[COOKIE].value

        for path in ("", "/state", "/return", "/theme.css"):
            assert stolen.get(page_of(others) + path).status_code == 404
        for path in ("/pay", "/tip", "/stop", "/return"):
            assert stolen.post(page_of(others) + path).status_code == 404

    def test_a_browser_that_comes_again_keeps_its_credential(self, api):
        session = opened(api)
        buyer = let_in(session)
        before = CheckoutCredential.objects.count()
        buyer.get(link_of(session))
        assert CheckoutCredential.objects.count() == before

    def test_an_embedded_session_has_no_page(self, api):
        session = opened(api, surface="embedded")
        secret = CheckoutSession.objects.get(id=session["checkout_session_id"]).launch_secret.reveal()
        assert Client().get(f"{page_of(session)}/{secret}").status_code == 404

    def test_who_guesses_is_not_looked_at_for_a_while(self, api):
        session, other = opened(api), opened(api)
        for _ in range(WRONG_TRIES):
            assert Client().get(f"{page_of(session)}/guess").status_code == 404

        assert Client().get(link_of(session)).status_code == 404
        assert Client(REMOTE_ADDR="192.0.2.7").get(link_of(session)).status_code == 303
        assert Client().get(link_of(other)).status_code == 303


class TestWhatABrowserMayDo:
    def test_nothing_inline_nothing_foreign_no_frame_no_trace(self, api):
        session = opened(api, theme={"primary_color": "#ffe600"}, tip={"enabled": True})
        buyer = let_in(session)
        page = buyer.get(page_of(session), {"locale": "de"})
        assert page.headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert "no-store" in page.headers["Cache-Control"]
        html = page.content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))
        assert page.cookies["flint_locale"]["httponly"] is True
        assert buyer.get(link_of(session)).headers["Referrer-Policy"] == "same-origin"

    def test_a_form_from_elsewhere_is_refused(self, api):
        session = opened(api)
        buyer = let_in(session, enforce_csrf_checks=True)
        for path in ("/pay", "/tip", "/stop", "/return"):
            assert buyer.post(page_of(session) + path, CARD).status_code == 403
        assert not PaymentAttempt.objects.exists()

    def test_a_name_is_text_and_never_markup(self, api):
        line = {"name": "<script>alert(1)</script>", "unit_price_money": wire(eur(100))}
        order_id = api.post("/v1/orders", {"line_items": [line]}).data["order_id"]
        made = api.post(
            "/v1/checkout-sessions", {"order_id": order_id, "custom_text": {"order_summary_message": "<b>"}}
        )
        session = made.data["checkout_session"]
        html = let_in(session).get(page_of(session)).content.decode()
        assert "<script>alert" not in html and "&lt;script&gt;" in html and "&lt;b&gt;" in html


class TestPaying:
    def test_it_pays_and_shows_it_for_a_day_to_this_browser_alone(self, api):
        session = opened(api)
        buyer = let_in(session)
        form = form_of(buyer.get(page_of(session)))

        assert buyer.post(f"{page_of(session)}/pay", form | CARD).status_code == 303

        assert b"Thank you, your order is paid" in buyer.get(page_of(session)).content
        stranger = Client()
        stranger.get(link_of(session))
        assert b"This order is already paid" in stranger.get(page_of(session)).content
        CheckoutSession.objects.filter(id=session["checkout_session_id"]).update(
            ended_at=timezone.now() - timedelta(hours=25)
        )
        page = buyer.get(page_of(session)).content
        assert b"Beans" not in page and "€10.00".encode() not in page

    def test_nothing_typed_of_a_card_is_logged_or_written_back(self, api, caplog):
        session = opened(api)
        buyer = let_in(session)
        form = form_of(buyer.get(page_of(session)))
        typed = {"number": "4000 0000 0000 9995", "expiry": "12/34", "cvc": "987"}

        bad = buyer.post(f"{page_of(session)}/pay", form | typed | {"email": "no address"})
        declined = buyer.post(f"{page_of(session)}/pay", form | typed, follow=True)

        assert bad.status_code == 422
        for text in (bad.content.decode(), declined.content.decode(), caplog.text):
            assert not re.search(r"4000 ?0000 ?0000 ?9995|\b987\b", text)

    @pytest.mark.parametrize("tampered", [{"amount": "1"}, {"amount": "-5"}, {"currency": "XXX"}, {"attempt_key": ""}])
    def test_a_form_that_was_tampered_with_charges_nothing(self, api, tampered):
        session = opened(api)
        buyer = let_in(session)
        form = form_of(buyer.get(page_of(session)))

        assert buyer.post(f"{page_of(session)}/pay", form | CARD | tampered).status_code == 422

        assert charged(Order.objects.get()) == []

    def test_a_bank_account_is_taken_only_where_it_is_offered(self, api):
        session = opened(api)
        buyer = let_in(session)
        form = form_of(buyer.get(page_of(session)))
        account = {"method": "bank", "routing_number": "110000000", "account_number": "000123456789"}
        assert buyer.post(f"{page_of(session)}/pay", form | account).status_code == 422
        assert not PaymentAttempt.objects.exists()

    def test_many_browsers_with_one_link_pay_once_and_the_others_are_told_politely(self, api):
        session = opened(api)
        buyers = [let_in(session) for _ in range(16)]
        forms = [form_of(buyer.get(page_of(session))) for buyer in buyers]

        answers = at_once(
            *(
                lambda buyer=buyer, form=form: buyer.post(f"{page_of(session)}/pay", form | CARD, follow=True)
                for buyer, form in zip(buyers, forms, strict=True)
            )
        )

        assert all(answer.status_code in (200, 422) for answer in answers), answers
        assert charged(Order.objects.get()) == [1_000]
        titles = [re.search(r"<h1[^>]*>([^<]*)", buyer.get(page_of(session)).content.decode())[1] for buyer in buyers]
        assert sorted(titles) == ["Thank you, your order is paid", *["This order is already paid"] * 15]


class TestComingBack:
    def test_the_relay_leads_to_our_own_page(self, api):
        session = opened(api)
        relay = Client().get(f"/payment-returns/{session['checkout_session_id']}", {"next": "https://evil.example"})
        assert (relay.status_code, relay.headers["Location"]) == (302, f"{page_of(session)}/return")

    def test_or_to_the_merchants_whatever_the_address_says(self, api):
        url = "https://shop.example/done?order=1"
        session = opened(api, surface="embedded", redirects={"success_redirect_url": url})
        path = f"/payment-returns/{session['checkout_session_id']}"
        for query in ({}, {"url": "https://evil.example"}, {"success_redirect_url": "//evil.example"}):
            assert Client().get(path, query).headers["Location"] == url

    def test_a_shop_without_such_a_page_has_its_buyers_told_to_go_back(self, api):
        session = opened(api, surface="embedded")
        answer = Client().get(f"/payment-returns/{session['checkout_session_id']}")
        assert answer.status_code == 200 and b"You are back from your bank" in answer.content

    def test_an_unknown_one_leads_nowhere(self, db):
        assert Client().get("/payment-returns/cs_unknown").status_code == 404
        assert Client().get("/payment-returns/https://evil.example").status_code == 404

    def test_a_buyers_payment_knows_where_to_come_back_to(self, api):
        session = opened(api)
        buyer = let_in(session)
        form = form_of(buyer.get(page_of(session)))
        buyer.post(f"{page_of(session)}/pay", form | CARD | {"number": "4000000000003220"})
        (leg,) = Order.objects.get().payment_intents.all()
        assert leg.payment_return_url == f"http://testserver/payment-returns/{session['checkout_session_id']}"

    def test_an_expired_page_is_still_there_for_a_day(self, api):
        session = opened(api)
        buyer = let_in(session)
        expire_if_due(session["checkout_session_id"], at=later(hours=25))
        assert b"This page has expired" in buyer.get(page_of(session)).content
        assert b"This page has expired" in let_in(session).get(page_of(session)).content


class TestColours:
    @pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#767676", "#777777", "#ffe600", "#e11d48", "#1f4fd8"])
    def test_text_on_any_colour_can_be_read(self, colour):
        assert contrast(colour, readable_on(colour)) >= 4.5

    def test_what_marks_something_can_be_seen_on_white(self):
        pale = stylesheet({"primary_color": "#ffffff", "accent_color": "#ffffee"})
        assert "--edge: #16191d;" in pale and "--line-accent: #16191d;" in pale
        assert stylesheet({}) == stylesheet({"title": "Ada's"}) == ""


class TestAmountsAsTyped:
    @pytest.mark.parametrize(
        ("text", "currency", "amount"),
        [("5", "EUR", 500), ("5,5", "EUR", 550), ("€ 5.50", "EUR", 550), ("500", "JPY", 500), ("1.250", "KWD", 1_250)],
    )
    def test_they_are_read(self, text, currency, amount):
        assert amount_of(text, currency, Language("en")).amount == amount

    @pytest.mark.parametrize("text", ["", "0", "-5", "5.555", "1,2,3", "1e9", "٥", "99999999999999"])
    def test_or_refused(self, text):
        with pytest.raises(BadForm):
            amount_of(text, "EUR", Language("en"))


class TestTheWayBack:
    """Who has paid goes on to the shop by itself, once; who comes back reads the receipt."""

    def paid(self, api, **redirects) -> tuple[Client, str]:
        session = opened(api, redirects=redirects)
        buyer, path = let_in(session), page_of(session)
        form = form_of(buyer.get(path))
        assert buyer.post(f"{path}/pay", {**form, **CARD}).status_code == 303
        return buyer, path

    def test_goes_on_to_the_shop_once(self, api):
        buyer, path = self.paid(api, success_redirect_url="https://shop.example/thanks?a=1&b=2")
        first = buyer.get(path).content.decode()
        again = buyer.get(path).content.decode()
        onward = '<meta http-equiv="refresh" content="0;url=https://shop.example/thanks?a=1&amp;b=2">'
        assert onward in first and 'href="https://shop.example/thanks?a=1&amp;b=2"' in first
        assert "http-equiv" not in again and 'href="https://shop.example/thanks?a=1&amp;b=2"' in again

    def test_stays_where_the_merchant_named_no_page(self, api):
        buyer, path = self.paid(api, cancel_redirect_url="https://shop.example/cart")
        assert "http-equiv" not in buyer.get(path).content.decode()

    def test_nobody_else_is_sent_anywhere(self, api):
        session = opened(api, redirects={"success_redirect_url": "https://shop.example/thanks"})
        other = let_in(session)
        buyer, path = let_in(session), page_of(session)
        assert 'content="0;' not in buyer.get(path).content.decode(), "it is not paid yet"
        buyer.post(f"{path}/pay", {**form_of(buyer.get(path)), **CARD})
        assert "http-equiv" not in other.get(path).content.decode()

    def test_declined_stays(self, api):
        session = opened(api, redirects={"success_redirect_url": "https://shop.example/thanks"})
        buyer, path = let_in(session), page_of(session)
        buyer.post(f"{path}/pay", {**form_of(buyer.get(path)), **CARD, "number": "4000 0000 0000 9995"})
        assert 'content="0;' not in buyer.get(path).content.decode()
