"""The one search box of the admin: what is read out is found, and only among what may be seen."""

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flint.merchants.models import Role
from flint.merchants.tests.factories import EnvironmentFactory
from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import line

pytestmark = pytest.mark.django_db


@pytest.fixture
def support(merchant):
    return signed_in(merchant, Role.SUPPORT)


def find(browser, term):
    return browser.get(reverse("admin:orders_order_find"), {"q": term})


def leads_to(response, name, pk):
    return response.status_code == 302 and response["Location"] == reverse(f"admin:{name}_change", args=[pk])


@pytest.fixture
def paid(environment):
    customer = apps.get_model("orders.Customer").objects.create(
        environment=environment, email="ada@buyer.example", name="Ada Byron"
    )
    return stories.paid_order(environment, line(12_50), customer_id=customer.id, external_reference_id="SHOP-77")


def test_an_order_by_everything_that_is_read_out(support, paid):
    leg = paid.payment_intents.get()
    confirm = leg.operations.get(kind="confirm")
    refund = stories.refund(paid, amount_money=stories.eur(100))
    terms = [
        paid.id,
        paid.id.lower(),
        paid.order_number,
        "SHOP-77",
        leg.source_last4,
        "12.50",
        "12,50 EUR",
        "EUR 12.50",
    ]
    terms += [confirm.reference]
    for term in terms:
        response = find(support, term)
        assert leads_to(response, "orders_order", paid.id), (term, response)
    assert leads_to(find(support, refund.id), "refunds_refund", refund.id)
    assert leads_to(find(support, leg.id), "payments_paymentintent", leg.id)


def test_several_kinds_are_shown_each_under_its_name(support, paid):
    text = page(find(support, "ada"))

    assert "Customers" in text and "ada@buyer.example" in text
    assert "Orders" in text and paid.order_number in text


def test_nothing_found_says_what_can_be_looked_for(support, paid):
    assert "Nothing found for “zzzz”" in page(find(support, "zzzz"))
    assert "Nothing found" not in page(find(support, ""))


@pytest.mark.parametrize("term", ["12.99", "12.50 USD", "1.2345678", "9" * 40 + ".00", "'; --", "💥", "pi_x", "%", "_"])
def test_what_is_not_there_is_not_found(support, paid, term):
    assert "Nothing found" in page(find(support, term))


def test_nothing_of_another_merchant(support):
    other = stories.paid_order(EnvironmentFactory(), line(12_50))

    for term in (other.id, other.order_number, "12.50", other.payment_intents.get().id):
        assert "Nothing found" in page(find(support, term)), term


def test_a_fixed_few_statements_however_much_is_found(support, environment, paid):
    find(support, "ada")
    with CaptureQueriesContext(
        connection,
    ) as few:
        find(support, "ada")
    for _ in range(12):
        stories.open_order(environment, line(12_50), customer_id=paid.customer_id)
    with CaptureQueriesContext(connection) as many:
        text = page(find(support, "ada"))
    assert "All of them" in text
    assert len(many) <= len(few) <= 20
