"""The bank asks who is there: the buyer says so, fails to, goes away and comes back, or chooses another card."""

import pytest
from playwright.sync_api import expect

from flint.testing.browser import PHONE
from flint.testing.stories import deliver_notices
from payments.tests.acts import secret_of
from payments.tests.browser.acts import (
    ASKS,
    assert_charged,
    at_the_bank,
    order_of,
    pay,
    see,
    see_paid,
    see_problem,
    shown,
    status_of,
    time_runs_out,
)

pytestmark = pytest.mark.django_db(transaction=True)

TOTAL = 5_430
ASKED = "Your bank wants to know that it is you"


@pytest.fixture
def session(shop):
    return shop.session()


def test_who_passes_has_paid(browser, session):
    page = browser.open(session["url"], size=PHONE)
    pay(page, ASKS)
    see(page, ASKED)
    shown(page, "confirm 360")
    page.reload()
    see(page, ASKED)

    at_the_bank(page)

    see_paid(page)
    assert_charged(session, TOTAL)


def test_who_fails_may_try_another_card(browser, session):
    page = browser.open(session["url"])
    pay(page, ASKS)
    shown(page, "confirm 1280")

    at_the_bank(page, "Fail authentication")

    see_problem(page, "Your bank did not recognise you. Nothing was charged.")
    assert_charged(session)
    pay(page)
    see_paid(page)
    assert_charged(session, TOTAL)


def test_who_closed_the_tab_goes_on_later(browser, session):
    device = browser.device()
    tab = device.new_page()
    tab.goto(session["url"])
    pay(tab, ASKS)
    see(tab, ASKED)
    tab.close()

    later_tab = device.new_page()
    later_tab.goto(session["url"])
    at_the_bank(later_tab)

    see_paid(later_tab)
    assert_charged(session, TOTAL)


def test_d006_who_closed_the_banks_tab_after_passing_has_paid(browser, session):
    page = browser.open(session["url"])
    pay(page, ASKS)
    bank = page.get_by_role("link", name="Continue to your bank").get_attribute("href")

    # The bank has heard it, and nothing leads back.
    assert page.request.post(f"{bank}/complete", form={"outcome": "pass"}).ok

    see_paid(page)  # It looked again by itself.
    assert_charged(session, TOTAL)


def test_d006_the_notice_alone_pays_too(browser, shop, session):
    page = browser.open(session["url"])
    pay(page, ASKS)
    bank = page.get_by_role("link", name="Continue to your bank").get_attribute("href")
    page.goto("about:blank")
    assert page.request.post(f"{bank}/complete", form={"outcome": "pass"}).ok

    deliver_notices(shop.environment)

    assert status_of(session) == "paid"
    page.goto(session["url"])
    see_paid(page)


def test_who_ran_out_of_time_at_the_bank_still_pays(browser, session):
    page = browser.open(session["url"])
    pay(page, ASKS)
    see(page, ASKED)
    time_runs_out(session)
    page.reload()
    see(page, ASKED)
    expect(page.get_by_role("button", name="Choose another way to pay")).to_have_count(0)

    at_the_bank(page)

    see_paid(page)
    assert_charged(session, TOTAL)


def test_who_chooses_another_way_pays_with_that(browser, session):
    page = browser.open(session["url"])
    pay(page, ASKS)

    page.get_by_role("button", name="Choose another way to pay").click()

    see_problem(page, "You stopped the payment. Nothing was charged.")
    shown(page, "stopped")
    pay(page)
    see_paid(page)
    assert_charged(session, TOTAL)


def test_somebody_else_sees_that_it_is_being_paid_and_may_take_over(browser, session):
    page = browser.open(session["url"])
    pay(page, ASKS)
    see(page, ASKED)

    other = browser.open(session["url"], size=PHONE)
    see(other, "Somebody is paying this order right now")
    shown(other, "elsewhere 360")
    assert order_of(session).is_collecting
    other.get_by_role("button", name="It was me: stop that payment and pay here").click()
    see(other, "Pay €54.30")
    pay(other)

    see_paid(other)
    page.reload()
    see(page, "This order is already paid")
    assert_charged(session, TOTAL)


def test_somebody_else_is_led_on_when_it_is_paid(browser, session):
    page = browser.open(session["url"])
    pay(page, ASKS)
    see(page, ASKED)
    other = browser.open(session["url"])
    see(other, "Somebody is paying this order right now")

    at_the_bank(page)

    see_paid(page)
    see(other, "This order is already paid")


def test_it_works_without_javascript(browser, session):
    page = browser.open(session["url"], java_script_enabled=False)
    pay(page, ASKS)

    at_the_bank(page)

    see_paid(page)
    assert_charged(session, TOTAL)


def test_a_shop_of_another_origin_is_led_back_to(browser, shop, live_server):
    elsewhere = live_server.url.replace("localhost", "127.0.0.1")
    data = {
        "order_id": shop.order(),
        "surface": "embedded",
        "redirects": {"success_redirect_url": f"{elsewhere}/healthz"},
    }
    launched = shop.api.post("/v1/checkout-sessions", data).data
    session = launched["checkout_session"]
    buyer = {
        "X-Checkout-Session-ID": session["checkout_session_id"],
        "X-Checkout-Session-Secret": launched["checkout_access"]["checkout_auth_token"],
        "Authorization": None,
    }
    source = {"action": "pay", "payment_source": {"confirmation_token": "ctoken_card_threeDSecure2Required"}}
    asked = shop.api.post(f"/v1/orders/{session['order_id']}/pay", source, headers=buyer)
    page = browser.open(f"/sandbox/3ds/{secret_of(asked)}")

    page.get_by_role("button", name="Pass authentication").click()

    page.wait_for_url(f"{elsewhere}/healthz")
