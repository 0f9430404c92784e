"""Every other state of the page: what ended it, what is under way, what cannot be paid. Each leads on politely."""

import pytest
from playwright.sync_api import expect

from flint.testing.browser import DESK, PHONE
from flint.testing.stories import eur, time_passes, wire
from payments.tests.acts import going_wrong, later
from payments.tests.browser.acts import (
    assert_charged,
    order_of,
    pay,
    press_pay,
    see,
    see_paid,
    see_problem,
    shown,
    status_of,
    time_runs_out,
    type_card,
)

pytestmark = pytest.mark.django_db(transaction=True)

TOTAL = 5_430


def test_a_total_that_changed_underneath_is_told_and_not_charged(browser, shop):
    session = shop.session(tip={"enabled": True})
    device = browser.device()
    page, other = device.new_page(), device.new_page()
    for tab in (page, other):
        tab.goto(session["url"])
    type_card(page)
    other.get_by_role("button", name="10%").click()
    expect(other.locator(".amount")).to_have_text("€59.73")

    press_pay(page)

    see_problem(page, "The total changed from €54.30 to €59.73 while this page was open.")
    shown(page, "changed 1280")
    assert_charged(session)
    pay(page)
    see_paid(page)
    assert_charged(session, 5_973)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_page_that_expires_while_typing_charges_nothing_and_leads_back(browser, shop, size):
    session = shop.session(expiration={"expiration_url": "https://shop.example/again"})
    page = browser.open(session["url"], size=size)
    type_card(page)
    time_runs_out(session)

    press_pay(page)

    see(page, "This page has expired")
    shown(page, f"expired {size['width']}")
    expect(page.get_by_role("link", name="Start again")).to_have_attribute("href", "https://shop.example/again")
    assert_charged(session)


def test_an_order_changed_by_the_merchant_says_so(browser, shop):
    session = shop.session()
    page = browser.open(session["url"])
    type_card(page)
    shop.api.patch(f"/v1/orders/{session['order_id']}", {"requested_tip": {"amount_money": wire(eur(100))}})

    press_pay(page)

    see(page, "The order was changed")
    shown(page, "changed by merchant")
    expect(page.get_by_role("link", name="Write to Corner Shop Ltd")).to_be_visible()
    assert_charged(session)


def test_a_closed_session_says_so(browser, shop):
    session = shop.session(redirects={"cancel_redirect_url": "https://shop.example/cart"})
    page = browser.open(session["url"])
    shop.api.post(f"/v1/checkout-sessions/{session['checkout_session_id']}/close")

    page.reload()

    see(page, "This checkout is closed")
    shown(page, "closed")
    expect(page.get_by_role("link", name="Back to the shop")).to_have_attribute("href", "https://shop.example/cart")


def test_a_newer_link_is_pointed_to(browser, shop):
    session = shop.session()
    page = browser.open(session["url"])
    newer = shop.session(session["order_id"], replace_checkout_session_id=session["checkout_session_id"])

    pay(page)

    see(page, "There is a newer link")
    shown(page, "superseded")
    page.goto(newer["url"])
    pay(page)
    see_paid(page)
    page.goto(session["url"])
    see(page, "This order is already paid")
    assert_charged(session, TOTAL)


def test_a_card_payment_whose_answer_is_lost_is_waited_for(browser, shop):
    session = shop.session()
    page = browser.open(session["url"], size=PHONE)
    order = order_of(session)

    with (
        going_wrong(order, on="confirm", fault="lose_answer"),
        going_wrong(order, on="retrieve", fault="unreachable", times=None),
    ):
        pay(page)
        see(page, "We are waiting for your bank")
        shown(page, "processing 360")

    see_paid(page)  # By itself, once the bank answers.
    assert_charged(session, TOTAL)


@pytest.mark.parametrize("account", ["000123456789", "000222222227"], ids=["comes in", "bounces"])
def test_d010_a_bank_debit_takes_its_time(browser, shop, account):
    session = shop.session(shop.order(currency="USD"))
    page = browser.open(session["url"])
    page.get_by_label("Test bank account").check()
    page.get_by_label("Routing number").fill("110000000")
    page.get_by_label("Account number").fill(account)
    press_pay(page)
    see(page, "Your bank is processing the payment")
    shown(page, "debit")
    expect(page.get_by_role("button")).to_have_count(0)

    time_passes(shop.environment, later(days=5))
    page.goto(session["url"])

    if account.endswith("6789"):
        see_paid(page)
        assert_charged(session, TOTAL)
    else:
        see_problem(page, "There is not enough money on it. Try another card or account.")
        assert_charged(session)


def test_a_part_that_was_paid_is_said_with_what_is_left(browser, shop):
    made = shop.api.post("/v1/checkout-sessions", {"order_id": shop.order()}).data
    session = made["checkout_session"]
    buyer = {
        "X-Checkout-Session-ID": session["checkout_session_id"],
        "X-Checkout-Session-Secret": made["checkout_access"]["checkout_auth_token"],
        "Authorization": None,
    }
    source = {"action": "pay", "payment_source": {"confirmation_token": "ctoken_card_partialApproval"}}
    assert shop.api.post(f"/v1/orders/{session['order_id']}/pay", source, headers=buyer).status_code == 200

    page = browser.open(session["url"])

    see(page, "A part of your order is paid")
    shown(page, "partly paid")
    assert status_of(session) == "partially_paid"


def test_nothing_to_pay_is_only_confirmed(browser, shop):
    session = shop.session(shop.order(("Sample", 0, 1)))
    page = browser.open(session["url"])
    see(page, "Nothing to pay")
    shown(page, "nothing to pay")

    page.get_by_role("button", name="Confirm the order").click()

    see_paid(page)
    shown(page, "nothing paid")
    assert status_of(session) == "paid"


def test_a_slip_in_the_contact_is_pointed_to(browser, shop):
    session = shop.session(customer_collection={"require_email": True, "require_phone": True})
    page = browser.open(session["url"], size=PHONE)
    page.locator("#email").fill("ada@example.com")
    page.get_by_label("Phone").fill("0151 234567")

    pay(page)

    see_problem(page, "Enter the phone number with its country code")
    shown(page, "phone 360")
    expect(page.get_by_label("Phone")).to_have_value("0151 234567")
    page.get_by_label("Phone").fill("+49 (151) 234-567")
    pay(page)
    see_paid(page)
    assert order_of(session).contact_phone == "+49151234567"


def test_an_own_tip_is_read_as_people_write_it(browser, shop):
    session = shop.session(tip={"enabled": True, "is_custom_tip_enabled": True})
    page = browser.open(session["url"])
    page.get_by_label("Another amount").fill("lots")
    page.get_by_role("button", name="Add", exact=True).click()
    see_problem(page, "Enter the tip as an amount, such as €5.00.")
    shown(page, "tip")

    page.get_by_label("Another amount").fill("2,50 €")
    page.get_by_role("button", name="Add", exact=True).click()

    expect(page.locator(".amount")).to_have_text("€56.80")


@pytest.mark.parametrize("colour", ["#ffffff", "#000000", "#ffe600", "#808080", "#767676", "#e11d48", "#00ff7f"])
def test_any_colour_of_a_merchant_can_be_read(browser, shop, colour):
    session = shop.session(theme={"title": "Ada's", "primary_color": colour, "accent_color": colour})
    page = browser.open(session["url"], size=PHONE)
    see(page, "Pay €54.30")
    shown(page, f"colour {colour}")


def test_who_wants_no_motion_sees_none(browser, shop):
    session = shop.session()
    order = order_of(session)
    page = browser.open(session["url"], reduced_motion="reduce")

    with (
        going_wrong(order, on="confirm", fault="lose_answer"),
        going_wrong(order, on="retrieve", fault="unreachable", times=None),
    ):
        pay(page)
        see(page, "We are waiting for your bank")
        assert page.evaluate("document.getAnimations().length") == 0


def test_a_link_that_was_cut_short_is_met_kindly(browser, shop):
    session = shop.session()
    page = browser.open(session["url"][:-3], locale="de-DE", size=PHONE)
    see(page, "Dieser Link funktioniert nicht")
    shown(page, "bad link")


def test_the_contact_stays_with_the_session(browser, shop):
    session = shop.session(customer_collection={"prefilled_customer_info": {"email": "ada@example.com"}})
    page = browser.open(session["url"])
    expect(page.locator("#email")).to_have_value("ada@example.com")
