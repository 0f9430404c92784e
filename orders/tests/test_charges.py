"""Adding, changing and removing fees."""

import pytest

from orders.tests.sales import (
    activities,
    add_charge,
    create,
    fee,
    line,
    money,
    nothing_moves,
    percentage,
    pricing,
    refused,
    taxed,
)


def charges_path(order):
    return f"/v1/orders/{order['order_id']}/charges"


def charge_path(order, index=0):
    return f"{charges_path(order)}/{order['charges'][index]['order_charge_id']}"


def test_a_fixed_charge_adds_its_amount_and_its_tax(api):
    tax = taxed(10, charge_tax_category="delivery")
    order = add_charge(api, create(api, line(1_000)), **fee(500, description="By bike", tax=tax, metadata={"a": "1"}))

    (charge,) = order["charges"]
    assert charge["type"] == "delivery_fee"
    assert charge["description"] == "By bike"
    assert charge["metadata"] == {"a": "1"}
    assert charge["amount_money"] == charge["applied_money"] == money(500)
    assert "percent" not in charge and "calculation_basis" not in charge
    assert (charge["tax_money"], charge["total_money"], charge["refunded_money"]) == (money(50), money(550), money(0))
    assert charge["tax"]["charge_tax_category"] == "delivery"
    assert order["tax"]["tax_breakdowns"][0]["order_charge_id"] == charge["order_charge_id"]
    assert pricing(order) == {
        "subtotal": 1_000, "discount": 0, "charge": 500, "requested_tip": 0, "tax": 50, "total": 1_550,
    }  # fmt: skip


@pytest.mark.parametrize(("basis", "applied"), [("subtotal_pre_discount", 125), ("subtotal_post_discount", 100)])
def test_a_percentage_is_of_its_basis(api, basis, applied):
    discount = {"manual": {"name": "Off", "amount_money": money(200)}}
    order = create(api, line(1_000), discounts=[discount])

    order = add_charge(api, order, **percentage(12.5, calculation_basis=basis))

    (charge,) = order["charges"]
    assert (charge["percent"], charge["calculation_basis"]) == (12.5, basis)
    assert charge["applied_money"] == money(applied)
    assert "amount_money" not in charge


def test_charges_are_in_the_history(api):
    order = add_charge(api, create(api, line(1_000)))
    api.patch(charge_path(order), {"amount_money": money(700)})
    api.delete(charge_path(order))

    _, added, changed, removed = activities(api, order)

    assert [one["activity_type"] for one in (added, changed, removed)] == [
        "charge_added",
        "charge_updated",
        "charge_removed",
    ]
    assert added["description"] == "Charge added: Delivery"
    assert {one["order_charge_id"] for one in (added, changed, removed)} == {order["charges"][0]["order_charge_id"]}
    assert [one["balance_delta_money"]["amount"] for one in (added, changed, removed)] == [500, 200, -700]


def test_a_percentage_replaces_an_amount_and_the_other_way_round(api):
    order = add_charge(api, create(api, line(1_000)))

    order = api.patch(charge_path(order), {"percent": 20, "calculation_basis": "subtotal_pre_discount"}).data
    assert order["charges"][0]["applied_money"] == money(200)
    assert "amount_money" not in order["charges"][0]

    order = api.patch(charge_path(order), {"amount_money": money(50)}).data
    assert order["charges"][0]["amount_money"] == money(50)
    assert "percent" not in order["charges"][0] and "calculation_basis" not in order["charges"][0]


def test_words_of_a_charge_change_alone(api):
    order = add_charge(api, create(api), **fee(metadata={"a": "1"}))

    order = api.patch(charge_path(order), {"name": "Rush", "type": "rush_fee", "metadata": {"b": "2"}}).data

    (charge,) = order["charges"]
    assert (charge["name"], charge["type"], charge["amount_money"]) == ("Rush", "rush_fee", money(500))
    assert charge["metadata"] == {"a": "1", "b": "2"}


BAD = [
    (fee(name=""), "CHARGE_NAME_REQUIRED"),
    ({"type": "other", "amount_money": money(1)}, "CHARGE_NAME_REQUIRED"),
    ({"name": "x", "amount_money": money(1)}, "CHARGE_TYPE_REQUIRED"),
    (fee(type="toll"), "INVALID_CHARGE_TYPE"),
    ({"name": "x", "type": "other"}, "CHARGE_VALUE_REQUIRED"),
    (fee(percent=5), "INVALID_CHARGE_VALUE"),
    (fee(-1), "INVALID_CHARGE_AMOUNT"),
    (percentage(-1), "INVALID_CHARGE_PERCENT"),
    (percentage(100.0001), "INVALID_CHARGE_PERCENT"),
    (percentage(1.00001), "INVALID_CHARGE_PERCENT"),
    (percentage("10"), "INVALID_JSON"),
    ({"name": "x", "type": "other", "percent": 5}, "CALCULATION_BASIS_REQUIRED"),
    (fee(calculation_basis="subtotal_pre_discount"), "CALCULATION_BASIS_FORBIDDEN"),
    (percentage(5, calculation_basis="total"), "INVALID_CALCULATION_BASIS"),
    (fee(tax={}), "ORDER_CHARGE_TAX_INPUT_REQUIRED"),
    (fee(tax={"charge_tax_category": "food"}), "INVALID_TAX_CATEGORY"),
    (fee(tax={"line_item_tax_category": "food"}), "UNKNOWN_FIELD"),
    (fee(fulfillment_id="ful_1"), "RESERVED_FIELD_NOT_YET_SUPPORTED"),
    ({**fee(), "amount_money": money(1, "USD")}, "CURRENCY_MISMATCH"),
    (fee(999_999_999_999), "AMOUNT_TOO_LARGE"),
]


@pytest.mark.parametrize(("charge", "code"), BAD)
def test_a_bad_charge_moves_nothing(api, charge, code):
    order = create(api)

    with nothing_moves():
        refused(api.post(charges_path(order), {"charge": charge}), code)


def test_a_charge_is_required(api):
    order = create(api)

    with nothing_moves():
        refused(api.post(charges_path(order), {}), "FIELD_REQUIRED", param="charge")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "NO_FIELDS_TO_UPDATE"),
        ({"name": ""}, "CHARGE_NAME_REQUIRED"),
        ({"amount_money": money(1), "percent": 1}, "INVALID_CHARGE_VALUE"),
        ({"percent": 5}, "CALCULATION_BASIS_REQUIRED"),
        ({"calculation_basis": "subtotal_pre_discount"}, "CALCULATION_BASIS_FORBIDDEN"),
        ({"amount_money": money(1), "calculation_basis": "subtotal_pre_discount"}, "CALCULATION_BASIS_FORBIDDEN"),
        ({"amount_money": money(1, "USD")}, "CURRENCY_MISMATCH"),
        ({"amount_money": None}, "NULL_NOT_ALLOWED"),
        ({"fulfillment_id": "ful_1"}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
    ],
)
def test_a_bad_change_moves_nothing(api, body, code):
    order = add_charge(api, create(api))

    with nothing_moves():
        refused(api.patch(charge_path(order), body), code)


VERBS = [
    lambda api, order: api.post(charges_path(order), {"charge": fee()}),
    lambda api, order: api.patch(charge_path(order), {"name": "x"}),
    lambda api, order: api.delete(charge_path(order)),
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_order_keeps_its_charges(api, verb):
    order = add_charge(api, create(api))
    api.post(f"/v1/orders/{order['order_id']}/close", {})

    with nothing_moves():
        refused(verb(api, order), "ORDER_CLOSED", 409)


@pytest.mark.parametrize("verb", VERBS)
def test_somebody_elses_order_is_not_found(api, other_api, verb):
    order = add_charge(api, create(api))

    with nothing_moves():
        refused(verb(other_api, order), "ORDER_NOT_FOUND", 404)


@pytest.mark.parametrize("verb", VERBS[1:])
def test_a_charge_of_another_order_is_not_found(api, verb):
    order, other = add_charge(api, create(api)), create(api)

    with nothing_moves():
        refused(verb(api, {**other, "charges": order["charges"]}), "ORDER_CHARGE_NOT_FOUND", 404)
