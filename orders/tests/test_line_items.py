"""Adding, changing and removing lines: amounts, versions, history, and every refusal without a trace."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from orders.models import LedgerEntry
from orders.tests.sales import (
    activities,
    add_charge,
    create,
    line,
    money,
    nothing_moves,
    percentage,
    pricing,
    refused,
    settlement,
    taxed,
)


def lines_path(order):
    return f"/v1/orders/{order['order_id']}/line-items"


def line_path(order, index=0):
    return f"{lines_path(order)}/{order['line_items'][index]['order_line_item_id']}"


# Adding


def test_added_lines_come_after_those_already_there(api):
    order = create(api, line(1_000))

    response = api.post(
        lines_path(order), {"line_items": [line(200, name="Saucer", quantity=3), line(50, name="Spoon")]}
    )

    assert response.status_code == 200
    assert [item["name"] for item in response.data["line_items"]] == ["Cup", "Saucer", "Spoon"]
    assert pricing(response.data)["total"] == settlement(response.data)["outstanding"] == 1_650
    assert response.data["order_revision"] == order["order_revision"] + 1
    assert response.data == api.get(f"/v1/orders/{order['order_id']}").data


def test_percentages_and_discounts_follow_added_lines(api):
    discount = {"manual": {"name": "Off", "amount_money": money(1_500)}}
    order = add_charge(api, create(api, line(1_000), discounts=[discount]), **percentage(10))
    assert pricing(order) == {
        "subtotal": 1_000, "discount": 1_000, "charge": 0, "requested_tip": 0, "tax": 0, "total": 0,
    }  # fmt: skip

    order = api.post(lines_path(order), {"line_items": [line(2_000)]}).data

    assert order["applied_discounts"][0]["applied_money"] == money(1_500)
    assert pricing(order)["charge"] == 150
    assert pricing(order)["total"] == 3_000 - 1_500 + 150


def test_each_added_line_is_in_the_history(api):
    order = create(api)
    order = api.post(lines_path(order), {"line_items": [line(200, name="Saucer", quantity=3), line(50)]}).data

    _, first, second = activities(api, order)

    assert first["activity_type"] == second["activity_type"] == "line_item_added"
    assert first["description"] == "Line item added: 3 × Saucer"
    assert first["order_line_item_id"] == order["line_items"][1]["order_line_item_id"]
    assert second["running_balance_money"] == money(1_650)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "MISSING_LINE_ITEMS"),
        ({"line_items": []}, "MISSING_LINE_ITEMS"),
        ({"line_items": [line(-1)]}, "LINE_ITEM_NEGATIVE_PRICE"),
        ({"line_items": [{"name": "Cup", "unit_price_money": money(1, "USD")}]}, "CURRENCY_MISMATCH"),
        ({"line_items": [line()] * 1_000}, "TOO_MANY_LINE_ITEMS"),
        ({"line_items": [line(999_999_999_999)]}, "AMOUNT_TOO_LARGE"),
        ({"line_items": [line()], "order_revision": 1}, "UNKNOWN_FIELD"),
        ({"line_items": [{"variant_id": "var_1"}]}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
    ],
)
def test_lines_that_cannot_be_added_move_nothing(api, body, code):
    order = create(api)

    with nothing_moves():
        refused(api.post(lines_path(order), body), code)


def test_one_bad_line_keeps_the_good_ones_out(api):
    order = create(api)

    with nothing_moves():
        response = api.post(
            lines_path(order), {"line_items": [line(), {"name": "Cup", "unit_price_money": money(1, "USD")}]}
        )

    refused(response, "CURRENCY_MISMATCH", param="line_items[1].unit_price_money.currency")


# Changing


def test_a_changed_line_is_priced_anew(api):
    order = create(api, line(1_000, tax=taxed(10)))

    response = api.patch(
        line_path(order),
        {"name": "Mug", "description": "Blue", "quantity": 3, "unit_price_money": money(500), "metadata": {"a": "1"}},
    )

    (item,) = response.data["line_items"]
    assert (item["name"], item["description"], item["quantity"]) == ("Mug", "Blue", 3)
    assert (item["subtotal_money"], item["tax_money"], item["total_money"]) == (money(1_500), money(150), money(1_650))
    assert item["metadata"] == {"a": "1"}
    assert item["version"] == 2
    assert pricing(response.data)["total"] == 1_650


def test_a_cheaper_line_takes_back_what_was_recognised(api):
    order = create(api, line(1_000))
    api.patch(line_path(order), {"unit_price_money": money(400)})

    entries = LedgerEntry.objects.filter(order_id=order["order_id"]).order_by("sequence")
    assert [(entry.debit, entry.credit, entry.amount) for entry in entries] == [
        ("receivable", "sales", 1_000),
        ("sales", "receivable", 600),
    ]
    changed = activities(api, order)[-1]
    assert changed["activity_type"] == "line_item_updated"
    assert changed["balance_delta_money"] == money(-600)
    assert changed["running_balance_money"] == money(400)


def test_only_lines_that_change_get_a_new_version(api):
    order = create(api, line(1_000), line(2_000))

    order = api.patch(line_path(order), {"quantity": 2}).data

    assert [item["version"] for item in order["line_items"]] == [2, 1]


def test_a_new_tax_replaces_the_old_one(api):
    order = create(api, line(1_000, tax=taxed(10, 2)))

    order = api.patch(line_path(order), {"tax": taxed(20, price_mode="inclusive")}).data

    (row,) = order["tax"]["tax_breakdowns"]
    assert (row["percent"], row["price_mode"], row["tax_money"]) == (20, "inclusive", money(167))
    assert pricing(order)["total"] == 1_000


def test_metadata_merges_and_clears(api):
    order = create(api, line(metadata={"a": "1", "b": "2"}))

    merged = api.patch(line_path(order), {"metadata": {"b": None, "c": "3"}}).data
    assert merged["line_items"][0]["metadata"] == {"a": "1", "c": "3"}

    cleared = api.patch(line_path(order), {"metadata": None}).data
    assert cleared["line_items"][0]["metadata"] == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "NO_FIELDS_TO_UPDATE"),
        ({"expected_version": 1}, "NO_FIELDS_TO_UPDATE"),
        ({"name": ""}, "LINE_ITEM_NAME_REQUIRED"),
        ({"name": None}, "LINE_ITEM_NAME_REQUIRED"),
        ({"name": "x" * 256}, "LINE_ITEM_NAME_TOO_LONG"),
        ({"quantity": 0}, "LINE_ITEM_INVALID_QUANTITY"),
        ({"quantity": 10**7}, "LINE_ITEM_QUANTITY_TOO_LARGE"),
        ({"quantity": None}, "NULL_NOT_ALLOWED"),
        ({"unit_price_money": money(-1)}, "LINE_ITEM_NEGATIVE_PRICE"),
        ({"unit_price_money": money(1, "USD")}, "CURRENCY_MISMATCH"),
        ({"tax": {}}, "ORDER_LINE_ITEM_TAX_INPUT_REQUIRED"),
        ({"tax": taxed()}, "EXTERNAL_TAX_COMPONENTS_REQUIRED"),
        ({"expected_version": 0, "quantity": 2}, "INVALID_EXPECTED_VERSION"),
        ({"modifiers": [], "expected_version": 1}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"position": 1}, "UNKNOWN_FIELD"),
    ],
)
def test_a_change_that_is_wrong_moves_nothing(api, body, code):
    order = create(api)

    with nothing_moves():
        refused(api.patch(line_path(order), body), code)


def test_a_stale_version_moves_nothing(api):
    order = create(api)
    api.patch(line_path(order), {"quantity": 2, "expected_version": 1})

    with nothing_moves():
        response = api.patch(line_path(order), {"quantity": 3, "expected_version": 1})

    refused(response, "ORDER_LINE_ITEM_VERSION_CONFLICT", 409, "expected_version")
    assert response.error["current_version"] == 2


# Removing


def test_a_removed_line_takes_its_taxes_along(api):
    order = create(api, line(1_000, tax=taxed(10)), line(500, name="Saucer"))

    response = api.delete(line_path(order))

    assert response.status_code == 200
    assert [item["name"] for item in response.data["line_items"]] == ["Saucer"]
    assert response.data["tax"]["tax_breakdowns"] == []
    assert pricing(response.data)["total"] == 500
    removed = activities(api, order)[-1]
    assert (removed["activity_type"], removed["description"]) == ("line_item_removed", "Line item removed: 1 × Cup")
    assert removed["balance_delta_money"] == money(-1_100)


def test_the_last_line_stays(api):
    order = create(api)

    with nothing_moves():
        refused(api.delete(line_path(order)), "ORDER_HAS_NO_LINE_ITEMS")


def test_removing_takes_no_body(api):
    order = create(api, line(), line())

    with nothing_moves():
        refused(api.delete(line_path(order), {"reason": "x"}), "REQUEST_BODY_NOT_ALLOWED")


# All of them

VERBS = [
    lambda api, order: api.post(lines_path(order), {"line_items": [line()]}),
    lambda api, order: api.patch(line_path(order), {"quantity": 2}),
    lambda api, order: api.delete(line_path(order)),
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_order_keeps_its_lines(api, verb):
    order = create(api, line(), line())
    api.post(f"/v1/orders/{order['order_id']}/close", {})

    with nothing_moves():
        refused(verb(api, order), "ORDER_CLOSED", 409)


@pytest.mark.parametrize("verb", VERBS)
def test_somebody_elses_order_is_not_found(api, other_api, verb):
    order = create(api, line(), line())

    with nothing_moves():
        refused(verb(other_api, order), "ORDER_NOT_FOUND", 404)


@pytest.mark.parametrize("verb", VERBS[1:])
def test_a_line_of_another_order_is_not_found(api, verb):
    order, other = create(api, line(), line()), create(api)

    with nothing_moves():
        refused(verb(api, {**other, "line_items": order["line_items"]}), "ORDER_LINE_ITEM_NOT_FOUND", 404)


@pytest.mark.parametrize("verb", VERBS)
def test_reading_is_not_enough_to_change(environment, verb, api):
    from flint.testing.fixtures import client_of

    order = create(api, line(), line())
    reader = client_of(environment, scopes=["commerce.orders.read"])

    with nothing_moves():
        refused(verb(reader, order), "INSUFFICIENT_SCOPE", 403)


@pytest.mark.django_db(transaction=True)
def test_edits_at_the_same_moment_all_count(api):
    order = create(api, line(1_000))
    callers = 6

    def add(number: int):
        try:
            return api.post(lines_path(order), {"line_items": [line(100 + number)]}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(add, range(callers)))

    assert answers == [200] * callers
    after = api.get(f"/v1/orders/{order['order_id']}").data
    assert pricing(after)["total"] == 1_000 + sum(100 + number for number in range(callers))
    assert after["order_revision"] == 1 + callers
