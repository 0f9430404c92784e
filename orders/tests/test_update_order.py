"""Changing an order's words, references, customer, tip and taxes."""

import pytest

from orders.tests.sales import (
    activities,
    create,
    flat_tax,
    line,
    money,
    nothing_moves,
    pricing,
    refused,
    settlement,
    taxed,
)


def path(order):
    return f"/v1/orders/{order['order_id']}"


def customer(api, email="ada@example.org"):
    return api.post("/v1/customers", {"email": email, "name": "Ada"}).data["customer_id"]


def test_words_and_references_change_alone(api):
    order = create(api, line(), buyer_note="Ring", external_reference_id="cart-1", metadata={"a": "1", "b": "2"})

    response = api.patch(path(order), {"internal_note": "Regular", "metadata": {"a": None, "c": "3"}})

    assert response.status_code == 200
    assert response.data["buyer_note"] == "Ring"
    assert response.data["internal_note"] == "Regular"
    assert response.data["external_reference_id"] == "cart-1"
    assert response.data["metadata"] == {"b": "2", "c": "3"}
    assert response.data["order_revision"] == 2
    assert response.data["pricing_amounts"] == order["pricing_amounts"]
    told = activities(api, order)[-1]
    assert (told["activity_type"], told["balance_delta_money"]) == ("order_updated", money(0))


def test_null_clears(api):
    order = create(api, line(), buyer_note="Ring", external_reference_id="cart-1", metadata={"a": "1"})

    cleared = api.patch(path(order), {"buyer_note": None, "external_reference_id": None, "metadata": None}).data

    assert "buyer_note" not in cleared and "external_reference_id" not in cleared
    assert cleared["metadata"] == {}


def test_the_customer_can_change_until_it_has_paid(api):
    order = create(api, customer_id=customer(api))
    other = customer(api, "bob@example.org")

    changed = api.patch(path(order), {"customer_id": other}).data

    assert changed["customer_id"] == other
    shown = api.get(path(order), {"expand": "customer"}).data["customer"]
    assert (shown["customer_id"], shown["email"], shown["name"]) == (other, "bob@example.org", "Ada")


def test_the_customer_is_not_cleared(api):
    order = create(api, customer_id=customer(api))

    with nothing_moves():
        response = api.patch(path(order), {"customer_id": None})

    refused(response, "ORDER_CUSTOMER_NOT_CLEARABLE", 409, "customer_id")


def test_an_unknown_customer_is_not_found(api, other_api):
    order, foreign = create(api), customer(other_api)

    with nothing_moves():
        refused(api.patch(path(order), {"customer_id": foreign}), "RESOURCE_NOT_FOUND", 404)


def test_a_tip_comes_changes_and_goes(api):
    order = create(api, line(1_000))

    order = api.patch(path(order), {"requested_tip": {"percent": 15}}).data
    first = order["tips"][0]
    assert order["requested_tip"]["percent"] == first["percent"] == 15
    assert first["effective_amount_money"] == money(150)
    assert pricing(order)["total"] == 1_150

    order = api.patch(path(order), {"requested_tip": {"amount_money": money(200), "description": "Thanks"}}).data
    second = order["tips"][0]
    assert "percent" not in order["requested_tip"]
    assert order["requested_tip"]["description"] == "Thanks"
    assert pricing(order)["requested_tip"] == settlement(order)["outstanding"] - 1_000 == 200

    order = api.patch(path(order), {"requested_tip": None}).data
    assert order["tips"] == []
    assert "requested_tip" not in order
    assert pricing(order)["total"] == 1_000

    told = activities(api, order)[1:]
    assert [(one["activity_type"], one["order_tip_id"]) for one in told] == [
        ("requested_tip_added", first["order_tip_id"]),
        ("requested_tip_updated", second["order_tip_id"]),
        ("requested_tip_removed", second["order_tip_id"]),
    ]
    assert [one["balance_delta_money"]["amount"] for one in told] == [150, 50, -200]


def test_a_percent_tip_follows_the_merchandise(api):
    order = create(api, line(1_000), requested_tip={"percent": 10})

    order = api.post(path(order) + "/line-items", {"line_items": [line(500)]}).data

    assert pricing(order)["requested_tip"] == 150


def test_flat_taxes_replace_each_other(api):
    order = create(api, line(1_000), tax=flat_tax(25))

    order = api.patch(path(order), {"tax": flat_tax(40)}).data

    assert [row["tax_money"] for row in order["tax"]["tax_breakdowns"]] == [money(40)]
    assert pricing(order)["total"] == 1_040
    assert activities(api, order)[-1]["activity_type"] == "tax_updated"


def test_taxes_are_switched_off_and_on_again(api):
    order = create(api, line(1_000, tax=taxed(10)))

    off = api.patch(path(order), {"tax": {"enabled": False}}).data
    assert off["tax"]["enabled"] is False
    assert (off["tax"]["status"], off["tax"]["taxability_reason"]) == ("not_required", "tax_disabled")
    assert pricing(off)["total"] == 1_000

    on = api.patch(path(order), {"tax": {"enabled": True}}).data
    assert on["tax"]["status"] == "calculated"
    assert pricing(on)["total"] == 1_100


def test_words_and_amounts_change_together(api):
    order = create(api, line(1_000))

    order = api.patch(path(order), {"requested_tip": {"percent": 10}, "buyer_note": "Ring", "order_revision": 1}).data

    assert order["buyer_note"] == "Ring"
    assert pricing(order)["requested_tip"] == 100
    assert order["order_revision"] == 2
    assert [one["activity_type"] for one in activities(api, order)] == [
        "created",
        "requested_tip_added",
        "order_updated",
    ]


@pytest.mark.parametrize("body", [{"buyer_note": "x"}, {"requested_tip": {"percent": 10}}])
def test_a_stale_revision_moves_nothing(api, body):
    order = create(api)
    api.patch(path(order), {"buyer_note": "Ring", "order_revision": 1})

    with nothing_moves():
        response = api.patch(path(order), {**body, "order_revision": 1})

    refused(response, "ORDER_CHANGED_REFRESH_REQUIRED", 409, "order_revision")
    assert response.error["current_version"] == 2


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ({}, "NO_FIELDS_TO_UPDATE", 400),
        ({"order_revision": 1}, "NO_FIELDS_TO_UPDATE", 400),
        ({"buyer_note": "x" * 5_001}, "NOTE_TOO_LONG", 400),
        ({"external_reference_id": ""}, "INVALID_EXTERNAL_REFERENCE_ID", 400),
        ({"metadata": {"a": 1}}, "INVALID_METADATA", 400),
        ({"metadata": {f"k{i}": "v" for i in range(51)}}, "METADATA_TOO_MANY_KEYS", 400),
        ({"requested_tip": {}}, "INVALID_TIP", 400),
        ({"requested_tip": {"percent": 0.5}}, "INVALID_TIP_PERCENT", 400),
        ({"requested_tip": {"amount_money": money(1, "USD")}}, "CURRENCY_MISMATCH", 400),
        ({"tax": None}, "NULL_NOT_ALLOWED", 400),
        ({"tax": taxed(5)}, "ORDER_PERCENTAGE_TAX_FORBIDDEN", 400),
        (
            {"tax": {"calculation": {"mode": "automatic", "price_mode": "additive"}}},
            "AUTOMATIC_TAX_CONNECTION_REQUIRED",
            409,
        ),
        ({"tax": {"location": {}}}, "RESERVED_FIELD_NOT_YET_SUPPORTED", 400),
        ({"delivery_destination": None}, "RESERVED_FIELD_NOT_YET_SUPPORTED", 400),
        ({"status": "closed"}, "UNKNOWN_FIELD", 400),
        ({"buyer_note": "ok", "requested_tip": {"amount_money": money(1, "USD")}}, "CURRENCY_MISMATCH", 400),
    ],
)
def test_a_change_that_is_wrong_moves_nothing(api, body, code, status):
    order = create(api, metadata={"kept": "1"})

    with nothing_moves():
        refused(api.patch(path(order), body), code, status)


def test_a_closed_order_still_takes_words(api):
    order = create(api)
    api.post(path(order) + "/close", {})

    changed = api.patch(path(order), {"internal_note": "Late", "external_reference_id": "x", "metadata": {"a": "1"}})

    assert changed.status_code == 200
    assert changed.data["internal_note"] == "Late"


@pytest.mark.parametrize("body", [{"requested_tip": {"percent": 10}}, {"requested_tip": None}, {"tax": flat_tax(25)}])
def test_a_closed_order_keeps_its_worth(api, body):
    order = create(api)
    api.post(path(order) + "/close", {})

    with nothing_moves():
        refused(api.patch(path(order), body), "ORDER_CLOSED", 409)


def test_a_closed_order_keeps_its_customer(api):
    order, other = create(api), customer(api)
    api.post(path(order) + "/close", {})

    with nothing_moves():
        refused(api.patch(path(order), {"customer_id": other}), "ORDER_CLOSED", 409)


def test_somebody_elses_order_is_not_found(api, other_api):
    order = create(api)

    with nothing_moves():
        refused(other_api.patch(path(order), {"buyer_note": "x"}), "ORDER_NOT_FOUND", 404)
