"""The example of a shop that takes payments on its own page, in a browser, against the public API."""

import pytest
from playwright.sync_api import Page, expect

from flint.testing.browser import DESK, PHONE
from orders.models import Order
from payments.models import CheckoutSession
from payments.tests.acts import charged
from payments.tests.browser.acts import shown

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def example(browser, api, settings, live_server):
    """Open the example's page."""
    settings.EXAMPLE_API_KEY, settings.INTERNAL_URL = api.secret, live_server.url
    return lambda **options: browser.open("/examples/embedded", **options)


def buy(page: Page, card: str) -> None:
    page.get_by_role("button", name="Buy", exact=True).click()
    page.get_by_label("Test card").select_option(card)
    page.get_by_role("button", name="Pay", exact=True).click()


def said(page: Page, words: str) -> None:
    expect(page.locator("#said")).to_contain_text(words)


def the_order() -> Order:
    return Order.objects.get()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_bag_is_bought(example, size):
    page = example(size=size)
    shown(page, f"example new {size['width']}")

    buy(page, "Visa that pays")

    said(page, "Thank you. The bag is yours.")
    shown(page, f"example paid {size['width']}")
    assert charged(the_order()) == [1_800]
    assert CheckoutSession.objects.get().status == "paid"


def test_a_decline_and_then_a_good_card(example):
    page = example()
    buy(page, "Visa that is declined")
    said(page, "declined")

    page.get_by_label("Test card").select_option("Visa that pays")
    page.get_by_role("button", name="Pay", exact=True).click()

    said(page, "Thank you.")
    assert charged(the_order()) == [1_800]


@pytest.mark.parametrize(("answer", "words"), [("Pass", "Thank you."), ("Fail", "did not authenticate")])
def test_the_banks_question_leads_away_and_back(example, answer, words):
    page = example()
    buy(page, "Visa whose bank asks who you are")
    said(page, "Your bank wants to know that it is you.")
    shown(page, "example acting")
    page.reload()
    said(page, "Your bank wants to know that it is you.")

    page.get_by_role("button", name="Go to the bank").click()
    page.get_by_role("button", name=f"{answer} authentication").click()

    page.wait_for_url("**/examples/embedded")
    said(page, words)
    assert charged(the_order()) == ([1_800] if answer == "Pass" else [])


def test_its_source_is_shown_and_its_secrets_are_not(example, api):
    page = example()
    buy(page, "Visa that pays")
    said(page, "Thank you.")
    page.reload()

    text = page.content()
    assert "def check_out(self, page_url" in text and "const collect = async" in text
    assert api.secret not in text and "cst_" not in text
    assert page.evaluate("document.cookie").count("flint_example") == 0
