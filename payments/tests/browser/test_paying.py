"""Buyers pay on the hosted page: with a card, at the second try, twice at once, by keyboard, without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from flint.testing.browser import DESK, PHONE, counting_bytes
from payments.models import PaymentAttempt
from payments.tests.browser.acts import (
    DECLINED,
    assert_charged,
    order_of,
    pay,
    press_pay,
    see,
    see_paid,
    see_problem,
    shown,
    status_of,
    tabbing_to,
    type_card,
)

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
TOTAL = 5_430


@SIZES
def test_a_buyer_pays_and_gets_a_receipt(browser, shop, size):
    session = shop.session()
    page = browser.open(session["url"], size=size)
    shown(page, f"open {size['width']}")
    page.locator("#email").fill("ada@example.com")

    pay(page)

    see_paid(page)
    shown(page, f"paid {size['width']}")
    receipt = page.locator(".receipt")
    expect(receipt).to_contain_text("€54.30")
    expect(receipt).to_contain_text("Visa •••• 4242")
    assert_charged(session, TOTAL)
    assert (status_of(session), order_of(session).contact_email) == ("paid", "ada@example.com")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_shop_is_gone_back_to_by_itself_and_the_receipt_stays(browser, shop, live_server, scripts):
    thanks = live_server.url.replace("localhost", "127.0.0.1") + "/healthz"
    session = shop.session(redirects={"success_redirect_url": thanks})
    page = browser.open(session["url"], java_script_enabled=scripts)

    pay(page)

    page.wait_for_url(thanks)
    assert_charged(session, TOTAL)
    page.goto(session["url"])
    see_paid(page)
    expect(page.get_by_role("link", name="Continue")).to_have_attribute("href", thanks)


@SIZES
def test_a_declined_card_is_explained_and_another_one_pays(browser, shop, size):
    session = shop.session()
    page = browser.open(session["url"], size=size)

    pay(page, DECLINED)
    see_problem(page, "There is not enough money on it. Try another card or account.")
    shown(page, f"declined {size['width']}")
    assert "9995" not in page.content()
    page.reload()
    see_problem(page, "There is not enough money on it.")
    pay(page)

    see_paid(page)
    assert_charged(session, TOTAL)
    assert PaymentAttempt.objects.filter(order_id=session["order_id"]).count() == 2


@pytest.mark.parametrize(
    ("card", "words", "field"),
    [
        ({"number": "4242424242424243"}, "Check the number", "Card number"),
        ({"expiry": "01/20"}, "The card has expired", "Expires"),
        ({"cvc": "12"}, "The security code is not right", "Security code"),
    ],
    ids=["number", "date", "code"],
)
def test_a_slip_leads_to_its_field_and_nothing_of_the_card_comes_back(browser, shop, card, words, field):
    session = shop.session()
    page = browser.open(session["url"])
    page.locator("#email").fill("ada@example.com")

    pay(page, **card)

    see_problem(page, words)
    shown(page, f"slip {field}")
    expect(page.get_by_label(field)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#email")).to_have_value("ada@example.com")
    expect(page.get_by_label("Card number")).to_have_value("")
    page.get_by_role("link", name=re.compile(words)).press("Enter")
    expect(page.get_by_label(field)).to_be_focused()
    assert not PaymentAttempt.objects.filter(order_id=session["order_id"]).exists()


def test_d001_a_double_click_pays_once(browser, shop):
    session = shop.session()
    page = browser.open(session["url"])
    type_card(page)

    page.locator("form.pay button.primary").dblclick()

    see_paid(page)
    assert_charged(session, TOTAL)
    assert PaymentAttempt.objects.filter(order_id=session["order_id"]).count() == 1


def test_d001_the_form_sent_three_times_past_the_button_pays_once(browser, shop):
    session = shop.session()
    page = browser.open(session["url"])
    type_card(page)

    answers = page.evaluate(
        """async () => {
            const form = document.querySelector("form.pay"), body = () => new URLSearchParams(new FormData(form));
            const sent = [1, 2, 3].map(() => fetch(form.action, { method: "POST", body: body() }));
            return (await Promise.all(sent)).map((answer) => answer.status);
        }"""
    )

    assert answers == [200, 200, 200]
    page.reload()
    see_paid(page)
    assert_charged(session, TOTAL)


def test_two_tabs_pay_once_and_the_late_one_is_told(browser, shop):
    session = shop.session()
    device = browser.device()
    first, second = device.new_page(), device.new_page()
    for tab in (first, second):
        tab.goto(session["url"])
        type_card(tab)

    press_pay(first)
    see_paid(first)
    press_pay(second)

    see_paid(second)
    assert_charged(session, TOTAL)


def test_a_friend_with_the_same_link_is_told_that_it_is_paid_already(browser, shop):
    session = shop.session()
    page, friend = browser.open(session["url"]), browser.open(session["url"])
    type_card(friend)
    pay(page)
    see_paid(page)

    press_pay(friend)

    see(friend, "This order is already paid")
    shown(friend, "paid elsewhere")
    assert_charged(session, TOTAL)


def test_going_back_after_paying_shows_that_it_is_paid(browser, shop):
    session = shop.session()
    page = browser.open(session["url"])
    pay(page)
    see_paid(page)

    page.go_back()

    see_paid(page)
    assert_charged(session, TOTAL)


def test_reloading_at_every_step_changes_nothing(browser, shop):
    session = shop.session()
    page = browser.open(session["url"])
    page.reload()
    see(page, "Pay €54.30")
    pay(page, DECLINED)
    see_problem(page, "not enough money")
    page.reload()
    pay(page)
    see_paid(page)
    page.reload()
    see_paid(page)
    page.goto(session["url"])  # The link of the message, opened again.
    see_paid(page)
    assert_charged(session, TOTAL)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_it_pays_without_javascript(browser, shop, size):
    session = shop.session(
        shop.order(currency="USD"),
        tip={"enabled": True, "is_custom_tip_enabled": True},
        customer_collection={"require_email": True},
    )
    page = browser.open(session["url"], size=size, java_script_enabled=False)
    page.get_by_role("button", name="10%").click()
    expect(page.locator(".amount")).to_have_text("$59.73")
    page.locator("#email").fill("ada@example.com")

    pay(page, DECLINED)
    expect(page.get_by_role("alert")).to_contain_text("not enough money")
    pay(page)

    see_paid(page)
    assert_charged(session, 5_973)


def test_a_bank_account_is_debited_without_javascript_too(browser, shop):
    session = shop.session(shop.order(currency="USD"))
    page = browser.open(session["url"], java_script_enabled=False)
    page.get_by_label("Test bank account").check()
    expect(page.get_by_label("Card number")).to_be_hidden()

    page.get_by_label("Routing number").fill("110000000")
    page.get_by_label("Account number").fill("000123456789")
    press_pay(page)

    see(page, "Your bank is processing the payment")
    assert status_of(session) == "open"


def test_the_keyboard_alone_pays(browser, shop):
    session = shop.session(shop.order(currency="USD"), tip={"enabled": True}, legal={"require_terms_of_service": True})
    page = browser.open(session["url"], size=DESK)

    def focused(name: str):
        return lambda: page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()") == name

    assert tabbing_to(page, focused("Skip to the payment")) == 1
    page.keyboard.press("Enter")
    tabbing_to(page, focused("15%"))
    page.keyboard.press("Enter")
    expect(page.locator(".amount")).to_have_text("$62.45")
    order = []
    for name, keys in [
        ("email", "ada@example.com"),
        ("number", "4242424242424242"),
        ("expiry", "1234"),
        ("cvc", "123"),
    ]:
        order.append(tabbing_to(page, focused(name)))
        page.keyboard.type(keys)
    tabbing_to(page, focused("terms"))
    page.keyboard.press("Space")
    tabbing_to(page, focused("Pay $62.45"))
    page.keyboard.press("Enter")

    see_paid(page)
    assert order[1:] == [2, 1, 1]  # By way of the choice of card or account; nothing else is between.
    assert_charged(session, 6_245)


def test_it_is_light_and_nothing_jumps(browser, shop):
    session = shop.session(theme={"primary_color": "#0b6e4f"}, tip={"enabled": True})
    page = browser.device(size=PHONE).new_page()
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((list) => { for (const shift of list.getEntries()) "
        "window.moved += shift.value; }).observe({ type: 'layout-shift', buffered: true });"
    )

    with counting_bytes(page) as sizes:
        page.goto(session["url"], wait_until="networkidle")

    assert 5_000 < sum(sizes) < 60_000
    assert page.evaluate("window.moved") == 0
    assert page.get_by_label("Card number").bounding_box()["y"] < PHONE["height"] * 0.75


def test_the_choice_of_a_way_to_pay_says_what_is_needed(browser, shop):
    session = shop.session(shop.order(currency="USD"))
    page = browser.open(session["url"], size=PHONE)
    page.get_by_label("Test bank account").check()
    shown(page, "bank account 360")

    press_pay(page)

    expect(page.get_by_label("Routing number")).to_be_focused()  # The browser's own word that it is needed.
    page.get_by_label("Routing number").fill("110000000")
    page.get_by_label("Account number").fill("123")
    press_pay(page)
    see_problem(page, "Check the number and try again.")
    expect(page.get_by_label("Test bank account")).to_be_checked()
    expect(page.get_by_label("Account number")).to_have_attribute("aria-invalid", "true")


TITLES = {
    "de-AT": ("de-AT", "Danke, Ihre Bestellung ist bezahlt", "€\xa054,30"),
    "fr-CA": ("fr-CA", "Merci, votre commande est payée", "54,30\xa0€"),
    "es-MX": ("es-MX", "Gracias, su pedido está pagado", "EUR54.30"),
    "de-DE": ("de-DE", "Danke, Ihre Bestellung ist bezahlt", "54,30\xa0€"),
}


@pytest.mark.parametrize("locale", TITLES)
def test_each_locale_pays_in_its_own_words(browser, shop, locale):
    session = shop.session()
    page = browser.open(session["url"], locale=locale, size=PHONE)
    lang, title, amount = TITLES[locale]
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator(".amount")).to_have_text(amount)
    page.locator("#number").fill(DECLINED)
    page.locator("#expiry").fill("12/34")
    page.locator("#cvc").fill("123")
    press_pay(page)
    expect(page.locator("#problem")).to_be_focused()
    shown(page, f"declined {locale}")
    assert "Nothing" not in page.inner_text("main")

    page.locator("#number").fill("4242424242424242")
    page.locator("#expiry").fill("12/34")
    page.locator("#cvc").fill("123")
    press_pay(page)

    see(page, title)
    shown(page, f"paid {locale}")


def test_a_language_that_was_chosen_stays(browser, shop):
    session = shop.session(shop.order(("Tea", 1_500, 1), currency="JPY"))
    page = browser.open(session["url"])

    page.get_by_role("link", name="Español").click()
    expect(page.locator("html")).to_have_attribute("lang", "es")
    page.reload()
    page.goto(session["url"])

    see(page, "Pagar 1.500\xa0JPY")
