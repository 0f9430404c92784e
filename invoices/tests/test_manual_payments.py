"""Money that came in by another way, recorded on an invoice and taken back."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, wire
from invoices.tests.asking import act, amounts, by_hand, draft, issued
from orders.tests.sales import create, line, nothing_moves, refused


def test_money_by_hand_pays_the_invoice_and_its_order(api):
    invoice = issued(api)

    partly = by_hand(api, invoice, 4_000, note="Cash", received_at="2026-11-20T12:00:00Z")
    paid = by_hand(api, invoice, 6_000)

    assert (partly["status"], amounts(partly)["outstanding"]) == ("partially_paid", 6_000)
    assert (paid["status"], amounts(paid)["outstanding"], amounts(paid)["paid"]) == ("paid", 0, 10_000)
    assert paid["paid_at"] and paid["closed_at"]
    order = assert_books(invoice["order_id"], paid=10_000, outstanding=0, payment_status="paid", is_under_invoice=False)
    kinds = list(order.entries.order_by("sequence").values_list("kind", "debit"))
    assert kinds[1:] == [("manual_payment", "cash"), ("manual_payment", "cash")]


def test_what_did_not_come_in_is_asked_for_again(api):
    invoice = issued(api)
    by_hand(api, invoice, 10_000)

    partly = act(api, invoice, "manual-payments/reverse", {"amount_money": wire(eur(3_000))}).data
    opened = act(api, invoice, "manual-payments/reverse", {"amount_money": wire(eur(7_000))}).data

    assert (partly["status"], amounts(partly)["outstanding"]) == ("partially_paid", 3_000)
    assert (opened["status"], amounts(opened)["outstanding"], amounts(opened)["paid"]) == ("open", 10_000, 0)
    assert "paid_at" not in opened
    assert_books(invoice["order_id"], paid=0, outstanding=10_000, payment_status="unpaid", is_under_invoice=True)


def test_no_more_than_is_outstanding_is_recorded(api):
    invoice = issued(api)
    by_hand(api, invoice, 9_000)

    with nothing_moves():
        response = act(api, invoice, "manual-payments", {"amount_money": wire(eur(1_001))})

    refused(response, "AMOUNT_EXCEEDS_BALANCE", param="amount_money")
    assert response.error["maximum_money"] == wire(eur(1_000))


def test_no_more_than_was_recorded_is_taken_back(api, environment):
    order = stories.open_order(environment, total=10_000)
    stories.pay(order, token="pm_card_visa")
    api.post(f"/v1/orders/{order.id}/line-items", {"line_items": [line(5_000)]})
    invoice = issued(api, {"order_id": order.id})
    by_hand(api, invoice, 2_000)

    with nothing_moves():
        response = act(api, invoice, "manual-payments/reverse", {"amount_money": wire(eur(2_001))})

    refused(response, "REVERSAL_EXCEEDS_MANUAL_PAYMENTS", param="amount_money")


@pytest.mark.parametrize("verb", ["manual-payments", "manual-payments/reverse"])
def test_a_draft_takes_no_money(api, verb):
    invoice = draft(api)

    with nothing_moves():
        response = act(api, invoice, verb, {"amount_money": wire(eur(100))})

    refused(response, "INVOICE_NOT_ISSUED", status=409)


def test_a_paid_invoice_takes_no_more(api):
    invoice = issued(api)
    by_hand(api, invoice, 10_000)

    refused(act(api, invoice, "manual-payments", {"amount_money": wire(eur(1))}), "INVOICE_NOT_COLLECTIBLE", status=409)


def test_an_open_invoice_has_nothing_to_take_back(api):
    invoice = issued(api)

    refused(
        act(api, invoice, "manual-payments/reverse", {"amount_money": wire(eur(1))}),
        "INVOICE_NOT_REVERSIBLE",
        status=409,
    )


def test_money_of_another_currency_is_refused(api):
    invoice = issued(api)

    response = act(api, invoice, "manual-payments", {"amount_money": {"amount": 100, "currency": "USD"}})

    refused(response, "CURRENCY_MISMATCH")


def test_a_stale_version_is_refused(api):
    invoice = issued(api)
    by_hand(api, invoice, 1_000)

    body = {"amount_money": wire(eur(1_000)), "expected_version": invoice["version"]}
    with nothing_moves():
        response = act(api, invoice, "manual-payments", body)

    refused(response, "VERSION_CONFLICT", status=409, param="expected_version")


def test_no_refund_gives_back_what_came_in_by_hand(api):
    invoice = issued(api)
    by_hand(api, invoice, 10_000)

    response = api.post("/v1/refunds", {"order_id": invoice["order_id"]})

    refused(response, "NO_PAYMENTS_FOR_ORDER")


def test_a_discount_is_history_once_money_came_in_by_hand(api):
    order = create(api, line(10_000), discounts=[{"manual": {"name": "Friends", "amount_money": wire(eur(1_000))}}])
    invoice = issued(api, order)

    by_hand(api, invoice, 500)

    discounts = api.get(f"/v1/orders/{order['order_id']}").data["applied_discounts"]
    assert [discount["status"] for discount in discounts] == ["redeemed"]
