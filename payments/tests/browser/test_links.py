"""Payment links and pay links in a browser: ordering, paying, correcting, on a phone and at a desk."""

from typing import Any

import pytest

from flint.testing.browser import DESK, PHONE, assert_accessible, picture
from flint.testing.staff import signed_in
from flint.testing.stories import eur, wire
from orders.models import Order
from payments.tests.browser.acts import press_pay, see, type_card

pytestmark = pytest.mark.django_db(transaction=True)

WORKSHOP = {
    "name": "Pottery workshop with Ada",
    "description": "Saturday, 12 December, 10 to 16 o'clock.\nClay, glaze and lunch are included.",
    "payment_link_type": "standard",
    "line_items": [
        {
            "name": "Seat",
            "description": "For one person",
            "unit_price_money": wire(eur(8_900)),
            "allow_quantity_adjustment": True,
            "max_quantity": 4,
        },
        {"name": "Apron", "unit_price_money": wire(eur(1_500))},
        {
            "name": "Something for the studio",
            "allow_unit_price_adjustment": True,
            "min_unit_price_money": wire(eur(100)),
            "suggested_unit_price_money_options": [wire(eur(500)), wire(eur(1_000)), wire(eur(2_000))],
        },
    ],
    "custom_fields": [
        {"key": "name", "label": "Name on the badge", "custom_field_type": "text", "required": True},
        {"key": "lunch", "label": "Lunch", "custom_field_type": "dropdown", "options": ["Everything", "Vegan"]},
        {"key": "note", "label": "Anything we should know", "custom_field_type": "textarea"},
        {
            "key": "rules",
            "label": "I have read the rules of the house",
            "custom_field_type": "checkbox",
            "required": True,
        },
    ],
    "theme": {"primary_color": "#7a3e1d"},
    "legal": {"refund_policy_url": "https://shop.example/refunds"},
}
CHAPEL = {
    "name": "A roof for the chapel",
    "payment_link_type": "donation",
    "donation_min_amount_money": wire(eur(500)),
    "donation_suggested_amount_money_options": [wire(eur(2_000)), wire(eur(5_000)), wire(eur(10_000))],
}


def make(shop: Any, **data: Any) -> str:
    """Make a link and return the path of its short address."""
    made = shop.api.post("/v1/payment-links", data)
    assert made.status_code == 201, made.content
    return f"/l/{made.data['url'].rsplit('/', 1)[1]}"


@pytest.mark.parametrize(("size", "name"), [(PHONE, "360"), (DESK, "1280")])
def test_a_buyer_chooses_corrects_and_pays(browser, shop, size, name):
    page = browser.open(make(shop, **WORKSHOP), size=size)
    assert_accessible(page)
    picture(page, f"link open {name}")
    page.get_by_label("Quantity").fill("3")
    page.get_by_text("€10.00").click()
    page.get_by_label("Name on the badge").fill(" ")
    page.get_by_label("Lunch").select_option("Vegan")
    page.get_by_label("rules of the house").check()
    page.get_by_role("button", name="Continue to the payment").click()
    assert page.get_by_role("alert").inner_text().strip() == "Name on the badge: Please fill this in."
    assert_accessible(page)
    picture(page, f"link mistake {name}")
    assert page.get_by_label("Quantity").input_value() == "3"
    page.get_by_label("Name on the badge").fill("Ada")
    page.get_by_role("button", name="Continue to the payment").click()
    page.wait_for_url("**/checkout/cs_*")
    assert "€292.00" in page.locator("main").inner_text()
    assert Order.objects.get().metadata == {
        "custom_field_name": "Ada",
        "custom_field_lunch": "Vegan",
        "custom_field_rules": "true",
    }
    picture(page, f"link checkout {name}")


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_a_donor_without_scripts_names_an_amount(browser, shop, size):
    page = browser.open(make(shop, **CHAPEL), size=size, java_script_enabled=False, locale="de-DE")
    picture(page, f"link donation {size['width']}")
    page.get_by_text("Anderer Betrag", exact=True).first.click()
    page.locator("input[inputmode=decimal]").fill("12,50")
    page.get_by_role("button", name="Weiter zur Zahlung").click()
    page.wait_for_url("**/checkout/cs_*")
    assert "12,50" in page.locator("main").inner_text()


def test_what_is_out_of_use_and_what_is_paid_says_so(browser, shop):
    path = make(shop, **CHAPEL, inactive_message="The roof is done. Thank you all!")
    link = shop.api.get("/v1/payment-links").data[0]
    shop.api.patch(f"/v1/payment-links/{link['payment_link_id']}", {"status": "inactive"})
    page = browser.open(path, size=PHONE)
    assert "The roof is done" in page.locator("main").inner_text()
    assert_accessible(page)
    picture(page, "link inactive 360")
    order_id = shop.order()
    url = shop.api.post(f"/v1/orders/{order_id}/pay-link").data["url"]
    page = browser.open(url, size=PHONE)
    page.wait_for_url("**/checkout/cs_*")
    type_card(page)
    press_pay(page)
    see(page, "Thank you, your order is paid")
    page.goto(url)
    assert "Nothing is owed any more" in page.locator("main").inner_text()
    assert_accessible(page)
    picture(page, "pay link paid 360")


@pytest.mark.parametrize(("size", "name"), [(PHONE, "360"), (DESK, "1280")])
def test_staff_see_links_and_make_an_orders_own(browser, shop, merchant, size, name):
    make(shop, **WORKSHOP)
    staff = signed_in(merchant, "owner")
    device = browser.device(size=size)
    device.add_cookies(
        [{"name": "sessionid", "value": staff.cookies["sessionid"].value, "url": browser.url, "httpOnly": True}]
    )
    page = device.new_page()
    page.goto("/admin/payments/paymentlink/")
    picture(page, f"admin links {name}")
    page.get_by_role("link", name="Pottery workshop with Ada").click()
    picture(page, f"admin link {name}")
    page.goto(f"/admin/orders/order/{shop.order()}/change/")
    page.locator("a[href$='/pay_address/']").click()
    page.get_by_role("button", name="Make a link").click()
    assert "/o/" in page.locator("#address").input_value()
    picture(page, f"admin pay link {name}")
