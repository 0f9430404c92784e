"""Invoices in the admin, in a real browser: finance bills an order and books what came in, at a desk and on a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.urls import reverse

from flint.celery import collecting
from flint.merchants.models import Role
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.browser import DESK, PHONE, picture
from flint.testing.staff import signed_in
from invoices.models import Invoice
from orders.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["1280", "360"])
def test_finance_bills_an_order_and_books_money(browser, live_server, environment, merchant, size):
    customer = Customer.objects.create(environment=environment, email="ada@buyer.example", name="Ada Lovelace")
    lines = [stories.line(6_000, name="Espresso beans"), stories.line(4_000, name="Grinder service")]
    order = stories.open_order(environment, *lines, customer_id=customer.id)
    finance = signed_in(merchant, Role.FINANCE, first_name="Fay", last_name="Nance")
    device = browser.device(size=size)
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": finance.cookies[settings.SESSION_COOKIE_NAME].value}
    device.add_cookies([{**cookie, "url": live_server.url}])
    page = device.new_page()

    def show(name: str) -> None:
        # The frame around it is the admin theme's own.
        if page.locator(".fl-page").count():
            found = Axe().run(page, context=".fl-page").response["violations"]
            assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} sticks out"
        picture(page, f"invoices {name} {size['width']}")

    with collecting():
        page.goto(reverse("admin:orders_order_change", args=[order.id]))
        page.get_by_role("link", name="Invoice", exact=True).click()
        show("draft of an order")
        page.get_by_role("button", name="Make a draft").click()
        page.get_by_text("As the order is now").wait_for()
        show("draft")
        page.get_by_role("link", name="Issue").click()
        page.get_by_label("Delivery").select_option("caller_managed")
        show("issue")
        page.get_by_role("button", name="Issue").click()
        page.get_by_role("heading", name="INV-000001", exact=True).wait_for()
        page.get_by_role("link", name="Record a payment").click()
        page.get_by_label("Amount").fill("250.00")
        page.get_by_role("button", name="Record a payment").click()
        page.get_by_text("more than what is outstanding").wait_for()
        show("record refused")
        page.get_by_label("Amount").fill("25.00")
        page.get_by_role("button", name="Record a payment").click()
        page.get_by_text("€25.00 is recorded").wait_for()
        show("partly paid")
        page.goto(reverse("admin:invoices_invoice_changelist"))
        page.get_by_text("INV-000001").first.wait_for()
        show("list")
        page.goto(reverse("admin:orders_order_change", args=[order.id]))
        show("order")

    assert Invoice.objects.get().status == "partially_paid"
    assert_books(order, paid=2_500, outstanding=7_500)
