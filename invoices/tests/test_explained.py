"""What an order's own pages say of its invoices: its history, its explanation, and what it was."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, wire
from invoices.tests.asking import act, by_hand, issued
from orders.tests.sales import activities


def test_money_by_hand_and_a_write_off_are_explained_term_by_term(api):
    invoice = issued(api)
    by_hand(api, invoice, 4_000)
    act(api, invoice, "manual-payments/reverse", {"amount_money": wire(eur(1_000))})
    act(api, invoice, "mark-uncollectible")

    explained = api.get(f"/v1/orders/{invoice['order_id']}/explanation").data

    terms = {
        figure["figure"]: [(term["kind"], term["amount_money"]["amount"]) for term in figure["terms"]]
        for figure in explained["figures"]
    }
    assert terms["paid"] == [("manual_payment", 4_000), ("manual_payment_reversed", -1_000)]
    assert terms["credit"] == [("write_off", 7_000)]
    assert all(
        figure["amount_money"]["amount"] == sum(term["amount_money"]["amount"] for term in figure["terms"])
        for figure in explained["figures"]
    )


def test_the_orders_history_tells_of_its_invoice(api):
    invoice = issued(api)
    by_hand(api, invoice, 4_000)
    act(api, invoice, "mark-uncollectible")

    told = activities(api, {"order_id": invoice["order_id"]})

    assert [(row.get("activity_type"), row["balance_delta_money"]["amount"]) for row in told] == [
        ("created", 10_000),
        (None, 0),
        (None, 0),
        ("payment", -4_000),
        (None, 0),
        ("adjustment", -6_000),
    ]
    assert told[3]["description"] == "Payment of €40.00 recorded by hand"


@pytest.mark.django_db(transaction=True)
def test_an_order_as_it_was_before_money_came_in_by_hand(api):
    invoice = issued(api)
    before = api.get(f"/v1/orders/{invoice['order_id']}")
    moment = activities(api, {"order_id": invoice["order_id"]})[-1]["created_at"]
    by_hand(api, invoice, 4_000)

    was = api.get(f"/v1/orders/{invoice['order_id']}", {"as_of": moment})

    assert was.status_code == 200, was.error
    assert was.data["settlement_amounts"] == before.data["settlement_amounts"]


def test_a_void_invoice_takes_its_unpaid_late_fee_along(api, environment):
    policy = {"type": "fixed", "amount_money": eur(500), "grace_period_days": 1}
    term = stories.payment_term(environment, late_fee_policy=policy)
    due = {"type": "payment_terms", "invoice_payment_term_id": term.id}
    order = stories.open_order(environment)
    at = timezone.now() - timedelta(days=60)
    invoice = stories.issued_invoice(order, payment_due=due, at=at).invoice
    shown = {"invoice_id": invoice.id}
    assert act(api, shown, "late-fees", {}).data["outstanding_money"] == wire(eur(10_500))

    assert act(api, shown, "void").status_code == 200

    assert_books(order, total=10_000, outstanding=10_000, is_under_invoice=False)
