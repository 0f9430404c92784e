"""Saving a card on the hosted page, and paying with it the next time, on a phone and on a desk."""

import base64

import pytest
from playwright.sync_api import Page, expect

from flint.testing.browser import DESK, PHONE
from flint.testing.stories import eur, wire
from payments.models import CustomerVerification, PaymentMethod
from payments.tests.browser.acts import assert_charged, pay, press_pay, see_paid, see_problem, shown

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
TOTAL = 5_430
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def ask_for_code(page: Page, email: str = "ada@example.com") -> str:
    """Have a code sent, and return it as it came."""
    page.get_by_text("Use a saved card, or save yours").click()
    page.get_by_label("Your email address").fill(email)
    page.get_by_role("button", name="Send a code").click()
    expect(page.get_by_label("Code", exact=True)).to_be_visible()
    return CustomerVerification.objects.order_by("-created_at", "-id")[0].code.reveal()


@SIZES
def test_a_buyer_saves_a_card_and_pays_with_it_the_next_time(browser, shop, size):
    first = shop.session()
    page = browser.open(first["url"], size=size)
    code = ask_for_code(page)
    shown(page, f"code {size['width']}")
    page.get_by_label("Code", exact=True).fill(f"{(int(code) + 1) % 1_000_000:06}")
    page.get_by_role("button", name="Confirm").click()
    see_problem(page, "This is not the code, or it is too old.")
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("You are here as ada@example.com.")).to_be_visible()
    page.get_by_label("Save this card for my next purchase").check()
    shown(page, f"keep {size['width']}")
    pay(page)
    see_paid(page)
    assert PaymentMethod.objects.get().status == "active"

    second = shop.session()
    page = browser.open(second["url"], size=size)
    page_code = ask_for_code(page)
    page.get_by_label("Code", exact=True).fill(page_code)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_label("Visa •••• 4242")).to_be_checked()
    expect(page.get_by_label("Card number")).to_be_hidden()
    shown(page, f"saved {size['width']}")
    page.get_by_label("Another card").check()
    expect(page.get_by_label("Card number")).to_be_visible()
    page.get_by_label("Visa •••• 4242").check()
    press_pay(page)
    see_paid(page)
    assert_charged(second, TOTAL)
    assert PaymentMethod.objects.count() == 1


def test_without_javascript(browser, shop):
    session = shop.session()
    page = browser.open(session["url"], java_script_enabled=False)
    code = ask_for_code(page)
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Save this card for my next purchase").check()
    pay(page)
    see_paid(page)
    assert PaymentMethod.objects.count() == 1


@SIZES
def test_a_link_shows_its_picture(browser, shop, size):
    image = {"source_url": "https://img.shop.example/mug.png", "alt": "A red mug"}
    line = {"name": "Mug", "unit_price_money": wire(eur(1_200))}
    made = shop.api.post(
        "/v1/payment-links",
        {"name": "Spring sale", "payment_link_type": "standard", "line_items": [line], "image": image},
    ).data
    device = browser.device(size=size)
    device.route("https://img.shop.example/**", lambda route: route.fulfill(body=PIXEL, content_type="image/png"))
    page = device.new_page()
    page.goto(made["url"])
    expect(page.get_by_alt_text("A red mug")).to_be_visible()
    assert page.evaluate("document.querySelector('.picture').naturalWidth") == 1
    shown(page, f"picture {size['width']}")
