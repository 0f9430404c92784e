"""Payment links in the admin, and the order's button that makes an address to pay by."""

import pytest
from django.urls import reverse

from flint.testing import stories
from flint.testing.staff import page, signed_in
from orders.models import Order
from payments.models import PayLink, PaymentLink
from payments.tests.acts import kinds_of


@pytest.fixture
def link(environment) -> PaymentLink:
    return stories.payment_link(environment, max_completions=5)


def address(name: str, row: str) -> str:
    return reverse(f"admin:{name}", args=[row])


def test_a_link_is_shown_with_its_address_and_how_often_it_was_paid(merchant, link):
    browser = signed_in(merchant, "support")
    listed = page(browser.get(reverse("admin:payments_paymentlink_changelist"), {"q": link.short}))
    shown = page(browser.get(address("payments_paymentlink_change", link.id)))
    for text in (listed, shown):
        assert link.url in text and "0 of at most 5" in text and "1 × Mug at €12.00" in text
    assert "data:image/svg+xml" in shown
    assert "Take out of use" not in shown


def test_finance_takes_a_link_out_of_use_and_puts_it_back(merchant, link):
    browser = signed_in(merchant, "finance")
    url = address("payments_paymentlink_switch", link.id)
    assert "Take out of use" in page(browser.get(address("payments_paymentlink_change", link.id)))

    browser.post(url, {"to": "inactive"})
    link.refresh_from_db()
    assert (link.status, link.version) == ("inactive", 2)
    assert "Put back in use" in page(browser.get(address("payments_paymentlink_change", link.id)))
    browser.post(url, {"to": "active"})
    link.refresh_from_db()
    assert link.status == "active"
    assert browser.get(url).status_code == 405


def test_support_may_look_at_a_link_and_no_more(merchant, link):
    refused = signed_in(merchant, "support").post(address("payments_paymentlink_switch", link.id), {"to": "inactive"})
    assert refused.status_code == 403
    link.refresh_from_db()
    assert link.status == "active"


def test_support_makes_an_address_for_what_an_order_owes(merchant, environment):
    order = stories.open_order(environment)
    browser = signed_in(merchant, "support")
    here, url = address("orders_order_change", order.id), address("orders_order_pay_address", order.id)
    assert url in page(browser.get(here))
    assert "/o/" not in page(browser.get(url))

    assert browser.post(url).status_code == 302

    made = PayLink.objects.get(order=order)
    assert made.url in page(browser.get(url)) and "data:image/svg+xml" in page(browser.get(url))
    assert kinds_of(order)[-1] == "pay_link.created"
    assert "A link to pay was made" in page(browser.get(here))
    assert Order.objects.get(id=order.id).event_count == len(kinds_of(order))


def test_a_role_without_the_right_gets_no_address(merchant, environment):
    order = stories.open_order(environment)
    browser = signed_in(merchant, "developer")
    url = address("orders_order_pay_address", order.id)
    assert url not in page(browser.get(address("orders_order_change", order.id)))
    assert browser.get(url).status_code == browser.post(url).status_code == 403
    assert not PayLink.objects.exists()


def test_nothing_is_made_for_an_order_that_owes_nothing(merchant, environment):
    order = stories.paid_order(environment)
    browser = signed_in(merchant, "support")
    url = address("orders_order_pay_address", order.id)
    assert url not in page(browser.get(address("orders_order_change", order.id)))
    refused = browser.post(url)
    assert refused.status_code == 400 and "Nothing is outstanding" in refused.content.decode()
    assert not PayLink.objects.exists()
