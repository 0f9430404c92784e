"""Ending a sale: pending discounts lapse, the unpaid rest is written off, and nothing changes any more."""

import pytest

from orders.models import LedgerEntry
from orders.tests.sales import activities, create, line, money, nothing_moves, pricing, refused, settlement


def path(order):
    return f"/v1/orders/{order['order_id']}/close"


def test_a_closed_order_owes_nothing(api):
    order = create(api, line(1_000))

    response = api.post(path(order), {"reason_message": "Never picked up"})

    assert response.status_code == 200
    assert response.data["status"] == "closed"
    assert response.data["payment_status"] == "unpaid"
    assert response.data["closed_reason"] == "Never picked up"
    assert pricing(response.data)["total"] == 1_000
    assert settlement(response.data) == {
        "paid": 0,
        "refunded": 0,
        "net_collected": 0,
        "balance": 0,
        "outstanding": 0,
        "credit": 1_000,
        "settled_tip": 0,
    }
    last = LedgerEntry.objects.filter(order_id=order["order_id"]).latest("sequence")
    assert (last.kind, last.debit, last.credit, last.amount) == ("write_off", "write_offs", "receivable", 1_000)
    closed = activities(api, order)[-1]
    assert (closed["activity_type"], closed["description"]) == ("closed", "Order closed")
    assert (closed["balance_delta_money"], closed["running_balance_money"]) == (money(-1_000), money(0))


def test_pending_discounts_lapse(api):
    order = create(api, line(1_000), discounts=[{"manual": {"name": "Off", "amount_money": money(300)}}])

    order = api.post(path(order), {}).data

    (discount,) = order["applied_discounts"]
    assert (discount["status"], discount["applied_money"]) == ("canceled", money(0))
    assert discount["amount_money"] == money(300)
    assert pricing(order)["discount"] == 0
    assert pricing(order)["total"] == settlement(order)["credit"] == 1_000
    assert "closed_reason" not in order


def test_an_order_for_nothing_closes_without_a_write_off(api):
    order = create(api, line(0))

    assert api.post(path(order), {}).data["status"] == "closed"

    assert not LedgerEntry.objects.filter(order_id=order["order_id"]).exists()


def test_closing_twice_is_refused_and_repeating_is_not(api):
    order = create(api)
    first = api.post(path(order), {}, key="close-1")

    with nothing_moves():
        again = api.post(path(order), {}, key="close-1")
        response = api.post(path(order), {})

    assert again.data == first.data
    refused(response, "ORDER_ALREADY_CLOSED", 409)
    assert response.error["current_status"] == "closed"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "INVALID_REQUEST_BODY"),
        ([], "INVALID_REQUEST_BODY"),
        ({"reason": "x"}, "UNKNOWN_FIELD"),
        ({"reason_message": "x" * 5_001}, "NOTE_TOO_LONG"),
    ],
)
def test_a_bad_closing_moves_nothing(api, body, code):
    order = create(api)

    with nothing_moves():
        refused(api.post(path(order), body), code)


def test_somebody_elses_order_is_not_found(api, other_api):
    order = create(api)

    with nothing_moves():
        refused(other_api.post(path(order), {}), "ORDER_NOT_FOUND", 404)
