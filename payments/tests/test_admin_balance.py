"""Payouts and movements of the balance in the admin."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from flint import actors
from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import eur
from payments.models import Payout
from payments.processors.base import PayoutState
from payments.processors.sandbox import clock
from payments.services.payouts import record_payout
from payments.tests.acts import later
from payments.tests.test_balance import sync
from payments.tests.test_movements import of_sale, record, told


@pytest.fixture
def finance(merchant):
    return signed_in(merchant, "finance")


@pytest.fixture
def sale(environment):
    return stories.paid_order(environment, total=10_000)


def plain(text: str) -> str:
    """The words of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def shown(browser, row) -> str:
    meta = row._meta
    return page(browser.get(reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.id])))


def paid_out(environment) -> Payout:
    """Let the days pass until what was sold is at the bank."""
    clock.advance(later(days=4), environment.id)
    sync(environment, at=later(days=4, minutes=1))
    return Payout.objects.get()


def test_a_payout_is_explained_line_by_line_and_ties_out(environment, sale, finance):
    second = stories.paid_order(environment, total=2_000)
    stories.refund(second, amount_money=eur(500))
    text = shown(finance, paid_out(environment))
    words = plain(text)
    for line in (
        f"Payment for order {sale.order_number}",
        f"Payment for order {second.order_number}",
        f"Refund for order {second.order_number}",
        "€100.00",
        "€3.20",
        "€96.80",
        "-€5.00",
    ):
        assert line in words, line
    assert f"/admin/orders/order/{sale.id}/change/" in text
    assert "Net of all lines €110.92 Paid out €110.92 Difference €0.00" in words
    assert "do not sum up" not in words


def test_lines_that_are_missing_are_missed(environment, finance):
    state = PayoutState("po_1", "paid", eur(5_000), environment.id, created_at=timezone.now())
    payout = record_payout(state, processor="sandbox", actor=actors.processor(environment.id, "sandbox"))
    assert "has not said yet what it consists of" in shown(finance, payout)
    record(environment, told(environment, type="adjustment", amount=4_000, fee=0), payout=payout)
    words = plain(shown(finance, payout))
    assert "Net of all lines €40.00 Paid out €50.00 Difference €10.00" in words
    assert "do not sum up to the payout" in words


def test_a_failed_payout_says_why(environment, finance):
    state = PayoutState(
        "po_1", "failed", eur(5_000), environment.id, is_automatic=False, created_at=timezone.now(),
        failure_code="account_closed", failure_message="The bank account has been closed.",
    )  # fmt: skip
    payout = record_payout(state, processor="sandbox", actor=actors.processor(environment.id, "sandbox"))
    words = plain(shown(finance, payout))
    assert "The bank account has been closed." in words and "made by hand" in words


def test_a_payout_takes_as_many_statements_for_many_lines(environment, finance):
    state = PayoutState("po_1", "in_transit", eur(5_000), environment.id, created_at=timezone.now())
    payout = record_payout(state, processor="sandbox", actor=actors.processor(environment.id, "sandbox"))

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(finance, payout)
        return len(captured)

    record(environment, of_sale(stories.paid_order(environment), "btx_0"), payout=payout)
    one = statements()
    for n in range(1, 4):
        record(environment, of_sale(stories.paid_order(environment), f"btx_{n}"), payout=payout)
    assert statements() == one


def test_the_lists_show_what_happened(environment, sale, finance):
    record(environment, of_sale(sale), told(environment, "btx_2", source_kind="payment", source_reference="pay_x"))
    listed = plain(page(finance.get(reverse("admin:payments_balancetransaction_changelist"))))
    assert f"Payment for order {sale.order_number}" in listed
    assert "that nothing here accounts for" in listed and "Being looked for" in listed
    query = {"explained": "no"}
    unexplained = plain(page(finance.get(reverse("admin:payments_balancetransaction_changelist"), query)))
    assert f"Payment for order {sale.order_number}" not in unexplained
    payout = paid_out(environment)
    assert payout.money.text() in plain(page(finance.get(reverse("admin:payments_payout_changelist"))))


def test_a_movement_is_found_by_what_the_processor_calls_it(environment, sale, finance):
    row, _ = record(environment, of_sale(sale), told(environment, "btx_2", type="adjustment", amount=5, fee=0))
    row.refresh_from_db()
    for term in (row.id, row.reference, row.source_reference, row.related_id):
        found = page(finance.get(reverse("admin:payments_balancetransaction_changelist"), {"q": term}))
        assert set(re.findall(r"balancetransaction/(btx_\w+)/change", found)) == {row.id}
    text = shown(finance, row)
    assert f"/admin/payments/paymentintent/{row.related_id}/change/" in text


def test_a_payment_on_the_order_page_shows_what_it_cost(environment, sale, merchant):
    support = signed_in(merchant, "support")
    before = plain(page(support.get(reverse("admin:orders_order_change", args=[sale.id]))))
    assert "Processor fee" not in before
    record(environment, of_sale(sale))
    after = plain(page(support.get(reverse("admin:orders_order_change", args=[sale.id]))))
    assert "Processor fee €3.20 Net of the fee €96.80" in after
    assert "Processor fee charged" in after


@pytest.mark.parametrize("role", ["support", "developer"])
def test_payouts_are_for_who_keeps_the_books(environment, merchant, role):
    browser = signed_in(merchant, role)
    assert browser.get(reverse("admin:payments_payout_changelist")).status_code == 403
    assert browser.get(reverse("admin:payments_balancetransaction_changelist")).status_code == 403
