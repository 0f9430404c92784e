"""The page of a payment link in a browser without scripts: what it offers, what it takes, and where it leads."""

import re
from typing import Any

import pytest
from django.test import Client

from flint.testing.stories import eur, wire
from orders.models import Order
from payments.checkout.policy import origin_of
from payments.models import CheckoutSession, PaymentLink

pytestmark = pytest.mark.django_db(transaction=True)

CHAPEL = {
    "name": "Roof of the chapel",
    "payment_link_type": "donation",
    "line_items": None,
    "donation_min_amount_money": wire(eur(500)),
    "donation_suggested_amount_money_options": [wire(eur(1_000)), wire(eur(2_500))],
}


def make(api, **data: Any) -> PaymentLink:
    line = {
        "name": "Mug",
        "unit_price_money": wire(eur(1_200)),
        "allow_quantity_adjustment": True,
        "max_quantity": 5,
    }
    body = {"name": "Spring sale", "payment_link_type": "standard", "line_items": [line], **data}
    made = api.post("/v1/payment-links", {name: value for name, value in body.items() if value is not None})
    assert made.status_code == 201, made.content
    return PaymentLink.objects.get(id=made.data["payment_link_id"])


def shown(browser: Client, link: PaymentLink, **options: Any) -> str:
    answer = browser.get(f"/l/{link.short}", **options)
    assert answer.status_code == 200
    return answer.content.decode()


def hidden(page: str) -> dict[str, str]:
    """What the form holds that nobody types."""
    return {name: re.search(f'name="{name}" value="([^"]*)"', page)[1] for name in ("form_key", "resolution_context")}


def send(browser: Client, link: PaymentLink, page: str | None = None, **typed: str) -> Any:
    return browser.post(f"/l/{link.short}", {**hidden(page or shown(browser, link)), **typed})


def test_a_buyer_orders_on_the_page_and_is_led_to_the_checkout(api):
    link, browser = make(api, custom_fields=[{"key": "to", "label": "For whom", "custom_field_type": "text"}]), Client()

    page = shown(browser, link)
    assert "Spring sale" in page and "For whom" in page and 'max="5"' in page and "test" in page
    answer = send(browser, link, page, **{"line-0-quantity": "3", "field-0": "Ada"})

    session = CheckoutSession.objects.get()
    assert answer.status_code == 303
    assert answer.url == f"/checkout/{session.id}/{session.launch_secret.reveal()}"
    assert (session.order.total_amount, session.order.metadata) == (3_600, {"custom_field_to": "Ada"})
    checkout = browser.get(answer.url, follow=True)
    assert checkout.status_code == 200 and "€36.00" in checkout.content.decode()


def test_a_second_click_on_the_same_form_leads_to_the_same_checkout(api):
    link, browser = make(api), Client()
    page = shown(browser, link)

    first, second = (send(browser, link, page, **{"line-0-quantity": "1"}) for _ in range(2))

    assert first.url == second.url
    assert Order.objects.count() == 1
    again = send(browser, link, **{"line-0-quantity": "1"})
    assert again.url != first.url and Order.objects.count() == 2


def test_a_mistake_is_named_at_its_field_and_what_was_typed_stays(api):
    fields = [{"key": "to", "label": "For whom", "custom_field_type": "textarea", "required": True}]
    link, browser = make(api, custom_fields=fields), Client()
    for typed, words, control in (
        ({"line-0-quantity": "7", "field-0": "Ada"}, "That is more than may be ordered.", "line-0-quantity"),
        ({"line-0-quantity": "x", "field-0": "Ada"}, "Enter the quantity as a whole number.", "line-0-quantity"),
        ({"line-0-quantity": "2", "field-0": " "}, "Please fill this in.", "field-0"),
    ):
        answer = send(browser, link, **typed)
        page = answer.content.decode()
        assert answer.status_code == 422
        assert words in page and f'<a href="#{control}">' in page
        assert re.search(f'id="{control}"[^>]*aria-invalid="true"', page)
    assert 'value="2"' in page
    assert not Order.objects.exists()
    assert send(browser, link, page, **{"line-0-quantity": "2", "field-0": "Ada"}).status_code == 303


def test_a_donor_takes_a_suggestion_or_names_an_amount(api):
    link, browser = make(api, **CHAPEL), Client()
    assert "€10.00" in shown(browser, link) and "at least €5.00" in shown(browser, link)

    too_little = send(browser, link, **{"line-0-choice": "other", "line-0-amount": "4,99"})
    assert "The amount is at least €5.00." in too_little.content.decode()
    nothing = send(browser, link, **{"line-0-choice": "other", "line-0-amount": ""})
    assert "Enter an amount, such as €5.00." in nothing.content.decode()
    for typed in ({"line-0-choice": "2500"}, {"line-0-choice": "other", "line-0-amount": "12.50"}):
        assert send(browser, link, **typed).status_code == 303
    assert sorted(order.total_amount for order in Order.objects.all()) == [1_250, 2_500]


def test_where_the_merchant_named_no_currency_the_buyer_does(api):
    line = {"name": "Whatever you like", "allow_unit_price_adjustment": True}
    link, browser = make(api, line_items=[line]), Client()
    assert 'name="currency"' in shown(browser, link)

    wrong = send(browser, link, **{"line-0-amount": "5", "currency": "EURO"})
    assert "three letters" in wrong.content.decode()
    assert send(browser, link, **{"line-0-amount": "500", "currency": "jpy"}).status_code == 303
    order = Order.objects.get()
    assert (order.total_amount, order.currency) == (500, "JPY")


def test_an_offer_that_changed_meanwhile_is_shown_anew(api):
    link, browser = make(api), Client()
    page = shown(browser, link)
    api.patch(f"/v1/payment-links/{link.id}", {"name": "Summer sale"})

    answer = send(browser, link, page, **{"line-0-quantity": "1"})

    again = answer.content.decode()
    assert answer.status_code == 422 and "Summer sale" in again and "may have changed" in again
    assert send(browser, link, again, **{"line-0-quantity": "1"}).status_code == 303


def test_what_is_out_of_use_or_taken_says_so(api):
    link, browser = make(api, inactive_message="Back in May", max_completions=1), Client()
    page = shown(browser, link)
    api.patch(f"/v1/payment-links/{link.id}", {"status": "inactive"})
    assert "Back in May" in shown(browser, link)
    assert "Back in May" in send(browser, link, page, **{"line-0-quantity": "1"}).content.decode()

    api.patch(f"/v1/payment-links/{link.id}", {"status": "active", "inactive_message": ""})
    PaymentLink.objects.filter(id=link.id).update(completed_count=1)
    assert "There is nothing left" in shown(browser, link)
    assert not Order.objects.exists()
    assert browser.get("/l/zzzzzzz").status_code == 404


@pytest.mark.parametrize(
    ("locale", "words"),
    [("de", "Weiter zur Zahlung"), ("fr", "Continuer vers le paiement"), ("es", "Continuar al pago")],
)
def test_the_page_speaks_the_buyers_language(api, locale, words):
    page = shown(Client(), make(api), headers={"Accept-Language": locale})
    assert words in page and f'<html lang="{locale}"' in page


def test_the_page_keeps_to_its_own_origin_and_escapes_what_merchants_write(api):
    link = make(api, name="<b>Sale</b>", description="One\n<script>alert(1)</script>")
    answer = Client().get(f"/l/{link.short}")
    page = answer.content.decode()
    assert "<b>Sale" not in page and "<script>alert" not in page and "&lt;b&gt;Sale" in page
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]


def test_a_form_of_another_site_orders_nothing(api):
    link = make(api)
    browser = Client(enforce_csrf_checks=True)
    assert browser.post(f"/l/{link.short}", {"line-0-quantity": "1"}).status_code == 403
    assert not Order.objects.exists()


def test_the_qr_code_is_the_short_address_as_a_drawing(api):
    link = make(api)
    drawn = Client().get(f"/l/{link.short.upper()}/qr.svg")
    assert drawn["Content-Type"] == "image/svg+xml"
    assert drawn.content.startswith(b"<?xml") and b"<svg xmlns=" in drawn.content
    assert drawn.content != Client().get(f"/l/{make(api).short}/qr.svg").content
    assert "url" not in api.get(f"/v1/payment-links/{link.id}/public").data["payment_link"]


class TestThePicture:
    def test_is_shown_and_let_in_alone(self, api):
        link = make(api, image={"source_url": "https://img.shop.example/mug.png?w=640", "alt": "A red mug"})
        answer = Client().get(f"/l/{link.short}")
        assert '<img class="picture" src="https://img.shop.example/mug.png?w=640" alt="A red mug"' in (
            answer.content.decode()
        )
        assert "img-src 'self' data: https://img.shop.example;" in answer.headers["Content-Security-Policy"]

    def test_without_one_no_other_origin_is_let_in(self, api):
        answer = Client().get(f"/l/{make(api).short}")
        assert "img-src 'self' data:;" in answer.headers["Content-Security-Policy"]
        assert "<img" not in answer.content.decode()

    @pytest.mark.parametrize("url", ["https://a;script-src *.evil.example/x", "https://a b/x", "data:image/png,x", ""])
    def test_what_is_no_plain_origin_never_gets_into_the_policy(self, url):
        assert origin_of(url) == ""
