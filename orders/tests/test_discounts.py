"""Applying, removing and repricing manual discounts."""

import pytest

from orders.tests.sales import activities, add_charge, create, fee, line, money, nothing_moves, pricing, refused


def path(order, verb=""):
    return f"/v1/orders/{order['order_id']}/discounts{verb}"


def manual(amount=300, **members):
    return {"manual": {"name": "Off", "amount_money": money(amount), **members}}


def line_ids(order):
    return [item["order_line_item_id"] for item in order["line_items"]]


def charge_ids(order):
    return [charge["order_charge_id"] for charge in order["charges"]]


def test_an_order_discount_is_shared_by_the_lines(api):
    order = create(api, line(1_000), line(500))

    order = api.post(path(order), manual(300)).data

    assert [item["discount_money"]["amount"] for item in order["line_items"]] == [200, 100]
    assert pricing(order)["total"] == 1_200
    assert "order_line_item_ids" not in order["applied_discounts"][0]


@pytest.mark.parametrize("kind", [{"discount_class": "line_item"}, {"scope": "line_item"}])
def test_a_line_discount_is_off_its_lines_only(api, kind):
    order = create(api, line(1_000), line(500))
    target = line_ids(order)[1]

    order = api.post(path(order), manual(800, order_line_item_ids=[target, target], **kind)).data

    (discount,) = order["applied_discounts"]
    assert discount["discount_class"] == "line_item"
    assert discount["order_line_item_ids"] == [target]
    assert (discount["amount_money"], discount["applied_money"]) == (money(800), money(500))
    assert [item["discount_money"]["amount"] for item in order["line_items"]] == [0, 500]


def test_a_service_charge_discount_is_off_charges_only(api):
    order = add_charge(api, add_charge(api, create(api, line(1_000))), **fee(200))
    target = charge_ids(order)[1]

    order = api.post(path(order), manual(300, discount_class="service_charge", order_charge_ids=[target])).data

    (discount,) = order["applied_discounts"]
    assert discount["order_charge_ids"] == [target]
    assert discount["applied_money"] == money(200)
    assert [charge["total_money"]["amount"] for charge in order["charges"]] == [500, 0]
    assert [charge["applied_money"]["amount"] for charge in order["charges"]] == [500, 200]
    assert pricing(order)["total"] == 1_500


def test_discounts_are_in_the_history(api):
    order = api.post(path(create(api, line(1_000))), manual(300)).data
    discount_id = order["applied_discounts"][0]["order_discount_id"]
    api.post(path(order, "/remove"), {"order_discount_ids": [discount_id]})

    _, applied, removed = activities(api, order)

    assert (applied["activity_type"], removed["activity_type"]) == ("discount_applied", "discount_removed")
    assert applied["description"] == "Discount applied: Off, €3.00 off"
    assert applied["order_discount_id"] == removed["order_discount_id"] == discount_id
    assert (applied["balance_delta_money"], removed["balance_delta_money"]) == (money(-300), money(300))


BAD = [
    ({}, "EXACTLY_ONE_REQUIRED"),
    ({"promotion": {"promotion_code": "SPRING"}}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
    ({"manual": []}, "INVALID_DISCOUNT"),
    ({"manual": {"amount_money": money(1)}}, "FIELD_REQUIRED"),
    ({"manual": {"name": "Off"}}, "FIELD_REQUIRED"),
    (manual(0), "INVALID_DISCOUNT"),
    (manual(-1), "INVALID_DISCOUNT"),
    (manual(percent=10), "UNKNOWN_FIELD"),
    (manual(discount_class="customer"), "INVALID_DISCOUNT_CLASS"),
    (manual(scope="cart"), "INVALID_DISCOUNT_SCOPE"),
    (manual(scope="line_item", discount_class="order"), "INVALID_DISCOUNT_SCOPE"),
    (manual(scope="order", discount_class="line_item", order_line_item_ids=["oli_1"]), "INVALID_DISCOUNT_SCOPE"),
    (manual(discount_class="line_item"), "LINE_ITEM_DISCOUNT_REQUIRES_IDS"),
    (manual(discount_class="line_item", order_line_item_ids=[]), "LINE_ITEM_DISCOUNT_REQUIRES_IDS"),
    (
        manual(discount_class="line_item", order_line_item_ids=["oli_1"], order_charge_ids=["och_1"]),
        "LINE_ITEM_DISCOUNT_NO_CHARGE_IDS",
    ),
    (manual(order_charge_ids=["och_1"]), "ORDER_DISCOUNT_NO_CHARGE_IDS"),
    (manual(order_line_item_ids=["oli_1"]), "ORDER_DISCOUNT_NO_LINE_ITEM_IDS"),
    (manual(discount_class="service_charge", order_line_item_ids=["oli_1"]), "INVALID_DISCOUNT"),
    ({"manual": {"name": "Off", "amount_money": money(1, "USD")}}, "CURRENCY_MISMATCH"),
]


@pytest.mark.parametrize(("body", "code"), BAD)
def test_a_bad_discount_moves_nothing(api, body, code):
    order = create(api)

    with nothing_moves():
        refused(api.post(path(order), body), code)


def test_a_discount_names_lines_and_charges_of_its_order(api):
    order, other = create(api), add_charge(api, create(api))

    with nothing_moves():
        of_lines = api.post(path(order), manual(discount_class="line_item", order_line_item_ids=line_ids(other)))
        of_charges = api.post(path(order), manual(discount_class="service_charge", order_charge_ids=charge_ids(other)))

    refused(of_lines, "LINE_ITEM_NOT_ON_ORDER", 404, "manual.order_line_item_ids[0]")
    refused(of_charges, "CHARGE_NOT_ON_ORDER", 404, "manual.order_charge_ids[0]")


def test_with_nothing_left_a_discount_is_refused(api):
    order = api.post(path(create(api, line(1_000))), manual(1_000)).data

    with nothing_moves():
        refused(api.post(path(order), manual(1)), "NO_DISCOUNTABLE_BALANCE", 409)


# Removing


def test_removed_discounts_are_gone_and_the_rest_takes_their_place(api):
    order = api.post(path(create(api, line(1_000))), manual(700)).data
    order = api.post(path(order), manual(600)).data
    first, second = order["applied_discounts"]
    assert second["applied_money"] == money(300)

    order = api.post(path(order, "/remove"), {"order_discount_ids": [first["order_discount_id"]]}).data

    (left,) = order["applied_discounts"]
    assert left["order_discount_id"] == second["order_discount_id"]
    assert left["applied_money"] == money(600)
    assert pricing(order)["total"] == 400


def test_all_discounts_are_removed_or_none(api):
    order = api.post(path(create(api, line(1_000))), manual(700)).data
    other = api.post(path(create(api, line(1_000))), manual(700)).data
    ids = [one["applied_discounts"][0]["order_discount_id"] for one in (order, other)]

    with nothing_moves():
        response = api.post(path(order, "/remove"), {"order_discount_ids": ids})

    refused(response, "DISCOUNT_NOT_FOUND", 404, "order_discount_ids[1]")


def test_an_id_given_twice_is_one(api):
    order = api.post(path(create(api, line(1_000))), manual(700)).data
    discount_id = order["applied_discounts"][0]["order_discount_id"]

    response = api.post(path(order, "/remove"), {"order_discount_ids": [discount_id, discount_id]})

    assert response.status_code == 200
    assert response.data["applied_discounts"] == []


@pytest.mark.parametrize(("body", "code"), [({}, "FIELD_REQUIRED"), ({"order_discount_ids": []}, "FIELD_REQUIRED")])
def test_removing_nothing_is_refused(api, body, code):
    order = create(api)

    with nothing_moves():
        refused(api.post(path(order, "/remove"), body), code)


# Repricing


@pytest.mark.parametrize("body", [None, {}])
def test_repricing_confirms_what_every_edit_keeps_right(api, body):
    order = api.post(path(create(api, line(1_000))), manual(700)).data

    response = api.post(path(order, "/reprice"), body)

    assert response.status_code == 200
    assert pricing(response.data) == pricing(order)
    assert response.data["order_revision"] == order["order_revision"] + 1


# All of them

VERBS = [
    lambda api, order: api.post(path(order), manual(1)),
    lambda api, order: api.post(path(order, "/remove"), {"order_discount_ids": ["odi_1"]}),
    lambda api, order: api.post(path(order, "/reprice")),
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_order_keeps_its_discounts(api, verb):
    order = create(api)
    api.post(f"/v1/orders/{order['order_id']}/close", {})

    with nothing_moves():
        refused(verb(api, order), "ORDER_CLOSED", 409)


@pytest.mark.parametrize("verb", VERBS)
def test_somebody_elses_order_is_not_found(api, other_api, verb):
    order = create(api)

    with nothing_moves():
        refused(verb(other_api, order), "ORDER_NOT_FOUND", 404)
