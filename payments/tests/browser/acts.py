"""What buyers do on the hosted page, and what they then see."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from flint.testing.browser import PATIENCE, assert_accessible, picture
from orders.models import Order
from payments.models import CheckoutSession
from payments.services.sessions.ending import expire_if_due
from payments.tests.acts import charged, later

expect.set_options(timeout=PATIENCE)

GOOD, DECLINED, ASKS = "4242424242424242", "4000000000009995", "4000000000003220"


def type_card(page: Page, number: str = GOOD, *, expiry: str = "12/34", cvc: str = "123") -> None:
    """Type a card, as people do: digits only."""
    page.get_by_label("Card number").press_sequentially(number)
    page.get_by_label("Expires").press_sequentially(expiry)
    page.get_by_label("Security code").press_sequentially(cvc)


def press_pay(page: Page) -> None:
    """Press the button."""
    page.locator("form.pay button.primary").click()


def pay(page: Page, number: str = GOOD, **card: Any) -> None:
    """Type a card and press the button."""
    type_card(page, number, **card)
    press_pay(page)


def see(page: Page, title: str) -> None:
    """Wait for a headline."""
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()


def see_problem(page: Page, words: str) -> None:
    """Wait for what is wrong, which has the focus so that it is read out."""
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.locator("#problem")).to_be_focused()


def see_paid(page: Page) -> None:
    """Wait for thanks."""
    see(page, "Thank you, your order is paid")


def shown(page: Page, name: str) -> None:
    """Have axe look at a state, and keep a picture of it."""
    assert_accessible(page)
    picture(page, name)


def order_of(session: dict[str, Any]) -> Order:
    """The session's order, read from the database."""
    return Order.objects.get(id=session["order_id"])


def assert_charged(session: dict[str, Any], *amounts: int) -> None:
    """Assert what the processor took for the session's order: these amounts and nothing more."""
    assert charged(order_of(session)) == list(amounts)


def status_of(session: dict[str, Any]) -> str:
    """How the session stands."""
    return CheckoutSession.objects.get(id=session["checkout_session_id"]).status


def time_runs_out(session: dict[str, Any]) -> None:
    """Let the session's time be over."""
    expire_if_due(session["checkout_session_id"], at=later(hours=25))


def at_the_bank(page: Page, press: str = "Pass authentication") -> None:
    """Go from our page to the test bank's, and answer there."""
    page.get_by_role("link", name="Continue to your bank").click()
    page.get_by_role("button", name=press).click()


def tabbing_to(page: Page, is_there: Callable[[], bool]) -> int:
    """Press Tab until something is reached; return how often."""
    for presses in range(1, 60):
        page.keyboard.press("Tab")
        if is_there():
            return presses
    raise AssertionError("the keyboard does not reach it")
