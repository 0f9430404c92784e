"""An invoice's page in a browser: reading it, paying it and coming back, on a phone and at a desk."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from flint.testing import stories
from flint.testing.browser import DESK, PHONE
from flint.testing.stories import deliver_notices, eur, wire
from orders.models import Order
from payments.tests.acts import charged, later
from payments.tests.browser.acts import ASKS, at_the_bank, pay, press_pay, see, shown, type_card

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
MEMO = "Thank you for coming to us.\nThe beans were roasted on Tuesday."


def bill(shop: Any, **data: Any) -> dict[str, Any]:
    """Have the merchant bill an order of 54.30 to Ada, and return the invoice."""
    email = f"ada{Order.objects.count()}@buyer.example"
    ada = shop.api.post("/v1/customers", {"name": "Ada Lovelace", "email": email})
    order_id = shop.order(customer_id=ada.data["customer_id"])
    made = shop.api.post("/v1/invoices", {"order_id": order_id, "memo": MEMO, "po_number": "PO-77", **data})
    assert made.status_code == 201, made.content
    path = f"/v1/invoices/{made.data['invoice_id']}/issue"
    issued = shop.api.post(path, {"delivery_mode": "caller_managed"})
    assert issued.status_code == 200, issued.content
    return issued.data["invoice"]


def in_parts() -> list[dict[str, Any]]:
    """A third now, a third in a month, the rest in two."""
    third = {"type": "percentage", "percent": 33.3333}
    return [
        {"kind": "deposit", "amount_specification": third, "due": {"type": "at_issue"}},
        {
            "kind": "installment",
            "amount_specification": third,
            "due": {"type": "date", "due_at": later(days=30).isoformat()},
        },
        {
            "kind": "balance",
            "amount_specification": {"type": "remaining_balance"},
            "due": {"type": "date", "due_at": later(days=60).isoformat()},
        },
    ]


def opened(browser: Any, invoice: dict[str, Any], **options: Any) -> Page:
    """Open the link as it was sent, and see that the secret is nowhere to be seen after."""
    page = browser.open(invoice["public_url"], **options)
    expect(page).to_have_url(f"{browser.url}/invoices/{invoice['invoice_id']}")
    return page


def charged_for(invoice: dict[str, Any]) -> list[int]:
    return charged(Order.objects.get(id=invoice["order_id"]))


def go_and_pay(page: Page, number: str | None = None) -> None:
    """Press the button of the invoice and pay on the page that it leads to."""
    press_pay(page)
    expect(page.get_by_label("Card number")).to_be_visible()
    pay(page, *([number] if number else []))


@SIZES
def test_it_is_read_paid_and_says_so(browser, shop, size):
    invoice = bill(shop, payment_due={"type": "absolute", "due_at": "2031-05-05T12:00:00Z"})
    asked = []
    page = browser.device(size=size).new_page()
    page.on("request", lambda request: asked.append((request.url, request.headers.get("referer", ""))))
    page.goto(invoice["public_url"])
    see(page, "This invoice is open")
    expect(page.get_by_text("It is due on May 5, 2031.")).to_be_visible()
    shown(page, f"invoice open {size['width']}")

    press_pay(page)
    expect(page.get_by_label("Card number")).to_be_visible()
    shown(page, f"invoice checkout {size['width']}")
    expect(page.get_by_role("link", name="Back to the invoice")).to_be_visible()
    pay(page)

    see(page, "Thank you, this invoice is paid")
    expect(page).to_have_url(f"{browser.url}/invoices/{invoice['invoice_id']}")
    shown(page, f"invoice paid {size['width']}")
    assert charged_for(invoice) == [5_430]
    secret = invoice["public_url"].rpartition("/")[2]
    assert [url for url, referer in asked[1:] if secret in url or secret in referer] == []


@SIZES
def test_part_after_part(browser, shop, size):
    invoice = bill(shop, schedule_entries=in_parts())
    page = opened(browser, invoice, size=size)
    expect(page.get_by_role("button", name="Pay €18.10")).to_be_visible()
    shown(page, f"invoice in parts {size['width']}")

    go_and_pay(page)

    see(page, "A part of this invoice is paid")
    expect(page.get_by_text("Nothing is due before")).to_be_visible()
    shown(page, f"invoice partly paid {size['width']}")
    assert charged_for(invoice) == [1_810]
    go_and_pay(page)
    expect(page.get_by_text("You can pay the next part already.")).to_be_visible()
    go_and_pay(page)
    see(page, "Thank you, this invoice is paid")
    assert charged_for(invoice) == [1_810, 1_810, 1_810]


def test_by_the_bank_and_back(browser, shop):
    invoice = bill(shop)
    page = opened(browser, invoice)
    go_and_pay(page, ASKS)
    see(page, "Your bank wants to know that it is you")
    other = opened(browser, invoice, size=PHONE)
    see(other, "A payment of this invoice is under way")
    shown(other, "invoice being paid 360")

    at_the_bank(page)

    see(page, "Thank you, this invoice is paid")
    see(other, "Thank you, this invoice is paid")  # It looks again by itself.
    assert charged_for(invoice) == [5_430]


def test_without_scripts_and_by_keyboard_alone(browser, shop):
    invoice = bill(shop)
    page = opened(browser, invoice, java_script_enabled=False)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the payment")).to_be_focused()
    page.get_by_role("button", name="Pay €54.30").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Card number")).to_be_visible()
    type_card(page)
    page.keyboard.press("Enter")
    see(page, "Thank you, this invoice is paid")
    assert charged_for(invoice) == [5_430]


@SIZES
def test_every_other_state(browser, shop, size):
    width = size["width"]
    at = {"type": "absolute", "due_at": "2026-02-03T12:00:00Z"}
    late = bill(shop, payment_due=at)
    page = opened(browser, late, size=size)
    see(page, "This invoice is overdue")
    shown(page, f"invoice overdue {width}")

    act(shop, late, "void")
    page.reload()
    see(page, "This invoice was withdrawn")
    shown(page, f"invoice void {width}")

    address = {"line1": "Via Roma 1", "city": "Milano", "state": "MI", "postal_code": "20121", "country": "IT"}
    outside = bill(shop, collection={"mode": "external"}, remit_to_address=address)
    page = opened(browser, outside, size=size)
    see(page, "Please pay this invoice by bank transfer")
    shown(page, f"invoice external {width}")
    act(shop, outside, "manual-payments", amount_money=wire(eur(2_000)))
    act(shop, outside, "mark-uncollectible")
    page.reload()
    see(page, "This invoice is closed")
    shown(page, f"invoice written off {width}")

    replaced = bill(shop)
    page = opened(browser, replaced, size=size)
    act(shop, replaced, "regenerate-public-link")
    page.reload()
    see(page, "There is a newer link")
    shown(page, f"invoice replaced {width}")
    page.goto(f"/invoices/{replaced['invoice_id']}/nonsense")
    see(page, "This link does not work")


def act(shop: Any, invoice: dict[str, Any], verb: str, **body: Any) -> None:
    answer = shop.api.post(f"/v1/invoices/{invoice['invoice_id']}/{verb}", body or None)
    assert answer.status_code in (200, 201), answer.content


OPEN = {
    "de-DE": "Diese Rechnung ist offen",
    "fr-FR": "Cette facture est à régler",
    "es-ES": "Esta factura está pendiente",
}


@pytest.mark.parametrize("locale", list(OPEN))
def test_in_other_languages(browser, shop, locale):
    invoice = bill(shop, schedule_entries=in_parts())
    page = opened(browser, invoice, size=PHONE, locale=locale)
    shown(page, f"invoice {locale} 360")
    expect(page.locator("html")).to_have_attribute("lang", locale)
    see(page, OPEN[locale])


def test_a_credit_note_and_its_document(browser, shop):
    invoice = bill(shop)
    page = opened(browser, invoice)
    go_and_pay(page)
    see(page, "Thank you, this invoice is paid")
    line = invoice["snapshot"]["line_items"][0]["invoice_line_item_id"]
    correction = {"type": "quantity", "quantity": 1}
    body = {
        "invoice_id": invoice["invoice_id"],
        "reason": "returned_goods",
        "credit_note_lines": [{"invoice_line_item_id": line, "correction": correction}],
    }
    note = shop.api.post("/v1/credit-notes", body)
    with stories.settled():
        path = f"/v1/credit-notes/{note.data['credit_note_id']}/issue"
        issued = shop.api.post(path, {"refund": {"reason": "requested_by_customer"}}, key="issue")
    assert issued.status_code == 200, issued.content
    deliver_notices(shop.environment)

    page.reload()

    number = issued.data["credit_note_number"]
    expect(page.get_by_role("link", name=number)).to_be_visible()
    shown(page, "invoice credited 1280")
    for name in (number, "Invoice as PDF"):
        address = page.get_by_role("link", name=name).get_attribute("href")
        assert page.request.get(address).body()[:5] == b"%PDF-"
