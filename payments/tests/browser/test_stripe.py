"""
The page with Stripe's own form in it. Its library cannot be loaded here: a stand-in of a few lines answers in its
place, with the calls that the page makes and nothing else, against the stand-in for Stripe's server.
"""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from flint.testing.browser import PHONE
from flint.testing.processors import network_of
from payments.processors.stripe.models import StripeAccount
from payments.tests.browser.acts import assert_charged, press_pay, see, see_paid, see_problem, shown

pytestmark = pytest.mark.django_db(transaction=True)

TOTAL = 5_430

LIBRARY = """
window.Stripe = (key, options) => {
  window.calls = [["Stripe", key, options]];
  const noted = (name, given) => window.calls.push([name, given]);
  return {
    elements: (given) => {
      noted("elements", given);
      const source = document.createElement("select");
      source.setAttribute("aria-label", "Source");
      const names = ["", "card_visa", "card_chargeDeclined", "card_threeDSecure2Required"];
      for (const name of names) source.add(new Option(name));
      return {
        create: () => ({ mount: (place) => place.append(source) }),
        submit: async () => source.value ? {} : { error: { message: "Your card number is incomplete." } },
        token: () => `ctoken_${source.value}`,
      };
    },
    createConfirmationToken: async ({ elements, params }) => {
      noted("createConfirmationToken", params);
      return { confirmationToken: { id: elements.token() } };
    },
    handleNextAction: async ({ clientSecret }) => { await window.askBuyer(clientSecret); return {}; },
  };
};
"""


@pytest.fixture
def open_page(browser, stripe_shop):
    """Open a session's page, with the library's stand-in; the bank asks and is answered as ``passes`` says."""

    def opened(session: dict[str, Any], *, passes: bool = True, **options: Any) -> Page:
        page = browser.device(**options).new_page()

        def answer(route: Route) -> None:
            route.fulfill(content_type="text/javascript", body=LIBRARY)

        page.route("https://js.stripe.com/**", answer)
        network = network_of(stripe_shop.environment)
        page.expose_function("askBuyer", lambda secret: network.authenticate(secret, passed=passes))
        page.on("console", browser._hear)
        page.goto(session["url"])
        return page

    return opened


def pay_with(page: Page, source: str) -> None:
    page.get_by_label("Source").select_option(source)
    press_pay(page)


def test_a_card_pays(open_page, stripe_shop, stripe_server):
    session = stripe_shop.session()
    page = open_page(session, size=PHONE)
    made, elements = page.evaluate("window.calls")
    assert made == ["Stripe", stripe_server.publishable_key, {}]
    assert elements[1] == {
        "mode": "payment",
        "amount": TOTAL,
        "currency": "eur",
        "locale": "en",
        "paymentMethodCreation": "manual",
    }
    shown(page, "stripe 360")

    press_pay(page)
    expect(page.locator("#element-problem")).to_have_text("Your card number is incomplete.")
    shown(page, "stripe incomplete 360")
    pay_with(page, "card_visa")

    see_paid(page)
    assert_charged(session, TOTAL)


def test_a_decline_is_explained_and_another_card_pays(open_page, stripe_shop):
    session = stripe_shop.session()
    page = open_page(session)

    pay_with(page, "card_chargeDeclined")

    see_problem(page, "Your bank declined the card.")
    pay_with(page, "card_visa")
    see_paid(page)
    assert_charged(session, TOTAL)


def test_the_banks_question_is_asked_by_the_library_and_answered(open_page, stripe_shop, browser):
    session = stripe_shop.session()
    page = open_page(session)

    pay_with(page, "card_threeDSecure2Required")

    see_paid(page)
    assert_charged(session, TOTAL)


def test_who_fails_at_the_bank_may_try_again(open_page, stripe_shop):
    session = stripe_shop.session()
    page = open_page(session, passes=False)

    pay_with(page, "card_threeDSecure2Required")

    see_problem(page, "Your bank did not recognise you.")
    pay_with(page, "card_visa")
    see_paid(page)
    assert_charged(session, TOTAL)


def test_amounts_are_counted_as_stripe_does(open_page, stripe_shop):
    session = stripe_shop.session(stripe_shop.order(("Tea", 12_340, 1), currency="KWD"))
    page = open_page(session)
    assert page.evaluate("window.calls[1][1]")["amount"] == 12_340
    see(page, "Pay KWD12.340")


def test_a_library_that_does_not_load_is_said(browser, stripe_shop):
    session = stripe_shop.session()
    page = browser.device().new_page()
    page.route("https://js.stripe.com/**", lambda route: route.abort())

    page.goto(session["url"])

    expect(page.locator("#element-problem")).to_contain_text("The payment form could not be loaded.")
    shown(page, "stripe unreachable")


def test_a_shop_that_can_no_longer_collect_says_that_it_cannot_be_paid(browser, stripe_shop):
    session = stripe_shop.session()
    StripeAccount.objects.all().delete()
    page = browser.open(session["url"])
    see(page, "This order cannot be paid right now")
    expect(page.get_by_role("link", name="Write to Corner Shop Ltd")).to_be_visible()
    shown(page, "blocked")


def test_without_javascript_it_says_what_it_needs(browser, stripe_shop):
    session = stripe_shop.session()
    page = browser.open(session["url"], java_script_enabled=False)
    expect(page.get_by_text("It needs JavaScript.")).to_be_visible()
