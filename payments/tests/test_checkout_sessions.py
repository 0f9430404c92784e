"""Checkout sessions over HTTP: opening, the buyer's credential, and what ends them."""

import pytest

from flint.testing.stories import eur, wire

pytestmark = pytest.mark.django_db(transaction=True)


def an_order(api, amount: int = 1_000) -> str:
    line = {"name": "Beans", "unit_price_money": wire(eur(amount))}
    return api.post("/v1/orders", {"line_items": [line]}).data["order_id"]


def launch(api, order_id: str, **data):
    made = api.post("/v1/checkout-sessions", {"order_id": order_id, **data})
    assert made.status_code == 201, made.content
    session = made.data["checkout_session"]
    return session, {
        "X-Checkout-Session-ID": session["checkout_session_id"],
        "X-Checkout-Session-Secret": made.data["checkout_access"]["checkout_auth_token"],
    }


def test_an_order_has_one_open_session_and_says_which(api):
    order_id = an_order(api)
    session, _ = launch(api, order_id)

    again = api.post("/v1/checkout-sessions", {"order_id": order_id})

    assert (again.status_code, again.error["code"]) == (409, "CHECKOUT_SESSION_ALREADY_EXISTS")
    assert again.error["existing_checkout_session_id"] == session["checkout_session_id"]


def test_a_merchants_edit_ends_it_and_a_buyers_own_does_not(api):
    order_id = an_order(api)
    session, buyer = launch(api, order_id, tip={"enabled": True})
    tip = {"requested_tip": {"amount_money": wire(eur(100))}}

    by_buyer = api.http.patch(f"/v1/orders/{order_id}", tip, content_type="application/json", headers=buyer)
    assert by_buyer.status_code == 200, by_buyer.content
    assert api.get(f"/v1/checkout-sessions/{session['checkout_session_id']}").data["status"] == "open"

    api.patch(f"/v1/orders/{order_id}", {"requested_tip": {"amount_money": wire(eur(200))}})
    ended = api.get(f"/v1/checkout-sessions/{session['checkout_session_id']}").data
    assert (ended["status"], ended["terminal_reason"]) == ("invalidated", "order_mutated")
