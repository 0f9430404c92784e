"""Beginning a sale: what it is worth, what is refused, and what it costs in statements."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.models import LedgerEntry, Order
from orders.tests.sales import (
    CITY,
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


def test_an_order_is_worth_its_lines(api):
    order = create(api, line(1_000, quantity=2), line(350, name="Saucer"))

    assert order["status"] == "open"
    assert order["payment_status"] == "unpaid"
    assert order["refund_status"] == "none"
    assert order["origin"] == "api"
    assert order["order_revision"] == 1
    assert pricing(order) == {
        "subtotal": 2_350,
        "discount": 0,
        "charge": 0,
        "requested_tip": 0,
        "tax": 0,
        "total": 2_350,
    }
    assert settlement(order) == {
        "paid": 0,
        "refunded": 0,
        "net_collected": 0,
        "balance": 2_350,
        "outstanding": 2_350,
        "credit": 0,
        "settled_tip": 0,
    }
    assert [item["subtotal_money"]["amount"] for item in order["line_items"]] == [2_000, 350]
    assert order["tax"] == {
        "enabled": True,
        "mode": "external",
        "status": "not_required",
        "taxability_reason": "not_taxable",
        "tax_breakdowns": [],
    }
    assert order["buyer_actions"] == []
    assert order["charges"] == order["applied_discounts"] == order["tips"] == []


def test_the_answer_is_what_a_read_gives(api):
    customer = api.post("/v1/customers", {"email": "ada@example.org"}).data
    order = create(
        api,
        line(1_000, quantity=3, tax=taxed(8.875), metadata={"shelf": "7"}, description="Blue"),
        line(500),
        customer_id=customer["customer_id"],
        discounts=[{"manual": {"name": "Welcome", "amount_money": money(100)}}],
        requested_tip={"percent": 10, "name": "Crew", "metadata": {"shift": "late"}},
        tax=flat_tax(25),
        buyer_note="Ring twice",
        internal_note="Regular",
        external_reference_id="cart-7",
        metadata={"table": "12"},
    )

    read = api.get(f"/v1/orders/{order['order_id']}")

    assert read.status_code == 200
    assert read.data == order
    assert order["customer_id"] == customer["customer_id"]
    assert order["buyer_note"] == "Ring twice"
    assert order["internal_note"] == "Regular"
    assert order["external_reference_id"] == "cart-7"
    assert order["metadata"] == {"table": "12"}
    assert order["line_items"][0]["metadata"] == {"shelf": "7"}
    assert order["line_items"][0]["description"] == "Blue"


def test_amounts_follow_the_terms(api):
    order = create(
        api,
        line(10_000, tax=taxed(8.875)),
        line(5_000),
        discounts=[{"manual": {"name": "Welcome", "amount_money": money(1_500)}}],
        requested_tip={"percent": 10},
        tax=flat_tax(25),
    )

    # 15000 - 1500; the tip is 10 % of 13500; the tax 8.875 % of 10000 - 1000, half up, and the flat one.
    assert pricing(order) == {
        "subtotal": 15_000,
        "discount": 1_500,
        "charge": 0,
        "requested_tip": 1_350,
        "tax": 799 + 25,
        "total": 15_000 - 1_500 + 1_350 + 824,
    }
    first, second = order["line_items"]
    assert (first["discount_money"], first["tax_money"], first["total_money"]) == (
        money(1_000),
        money(799),
        money(9_799),
    )
    assert (second["discount_money"], second["total_money"]) == (money(500), money(4_500))
    (discount,) = order["applied_discounts"]
    assert discount["status"] == "pending"
    assert discount["source"] == "manual"
    assert discount["discount_class"] == "order"
    assert discount["customer_facing_name"] == "Welcome"
    assert discount["amount_money"] == discount["applied_money"] == money(1_500)
    assert discount["order_id"] == order["order_id"]


def test_taxes_are_told_one_by_one_and_echoed(api):
    asked = taxed(8.875, 0.5, line_item_tax_category="prepared_food", taxable=True)

    order = create(api, line(10_000, tax=asked), tax=flat_tax(25))

    tax = order["tax"]
    assert (tax["status"], tax["taxability_reason"]) == ("calculated", "standard_rated")
    city, half, flat = tax["tax_breakdowns"]
    assert city["percent"] == 8.875
    assert city["jurisdiction"] == CITY
    assert city["order_line_item_id"] == order["line_items"][0]["order_line_item_id"]
    assert (city["taxable_money"], city["tax_money"]) == (money(10_000), money(888))
    assert half["tax_money"] == money(50)
    assert (flat["calculation_type"], flat["tax_type"]) == ("flat_amount", "retail_delivery_fee")
    assert flat["flat_money"] == flat["tax_money"] == money(25)
    echo = order["line_items"][0]["tax"]
    assert echo["line_item_tax_category"] == "prepared_food"
    assert echo["taxable"] is True
    assert echo["calculation"]["price_mode"] == "additive"
    assert [component["percent"] for component in echo["calculation"]["components"]] == [8.875, 0.5]


def test_an_inclusive_tax_is_told_but_not_added(api):
    order = create(api, line(11_900, tax=taxed(19, price_mode="inclusive")))

    assert pricing(order)["tax"] == 1_900
    assert pricing(order)["total"] == 11_900
    assert order["line_items"][0]["total_money"] == money(11_900)


@pytest.mark.parametrize(
    ("item_tax", "order_tax", "reason"),
    [({"taxable": False, **taxed(10)}, {}, "not_taxable"), (taxed(10), {"enabled": False}, "tax_disabled")],
)
def test_what_is_not_to_be_taxed_is_not(api, item_tax, order_tax, reason):
    order = create(api, line(1_000, tax=item_tax), **({"tax": order_tax} if order_tax else {}))

    assert pricing(order)["tax"] == 0
    assert (order["tax"]["status"], order["tax"]["taxability_reason"]) == ("not_required", reason)
    assert [row["taxability_reason"] for row in order["tax"]["tax_breakdowns"]] == [reason]


def test_a_tip_is_requested_until_it_is_paid(api):
    order = create(api, line(1_000), requested_tip={"amount_money": money(150), "name": "Crew"})

    assert order["requested_tip"] == {"amount_money": money(150), "name": "Crew", "metadata": {}}
    (tip,) = order["tips"]
    assert tip["status"] == "requested"
    assert tip["effective_amount_money"] == money(150)
    assert tip["settled_amount_money"] == tip["refunded_money"] == money(0)
    assert pricing(order)["total"] == 1_150


def test_an_order_for_nothing_stays_unpaid(api):
    order = create(api, line(0))

    assert order["payment_status"] == "unpaid"
    assert settlement(order)["outstanding"] == 0


def test_a_discount_takes_no_more_than_there_is(api):
    order = create(api, line(300), discounts=[{"manual": {"name": "Voucher", "amount_money": money(500)}}])

    assert order["applied_discounts"][0]["amount_money"] == money(500)
    assert order["applied_discounts"][0]["applied_money"] == money(300)
    assert pricing(order)["total"] == 0


def test_the_sale_is_in_the_ledger_and_in_the_history(api):
    order = create(api, line(1_000, tax=taxed(10)), requested_tip={"amount_money": money(50)})

    entries = LedgerEntry.objects.filter(order_id=order["order_id"]).order_by("sequence")
    assert [(entry.kind, entry.debit, entry.amount) for entry in entries] == [
        ("sale_goods", "receivable", 1_000),
        ("sale_tip", "receivable", 50),
        ("sale_tax", "receivable", 100),
    ]
    (created,) = activities(api, order)
    assert created["activity_type"] == "created"
    assert created["balance_delta_money"] == created["running_balance_money"] == money(1_150)


def test_a_repeat_with_its_key_creates_nothing(api):
    body = {"line_items": [line()]}
    first = api.post("/v1/orders", body, key="wish-1")

    again = api.post("/v1/orders", body, key="wish-1")

    assert again.status_code == 201
    assert again.data == first.data
    assert again.json()["meta"]["idempotency_replayed"] is True
    assert Order.objects.count() == 1


BAD_LINES = {
    "LINE_ITEM_NAME_REQUIRED": [{"unit_price_money": money(1)}, line(name="")],
    "LINE_ITEM_NAME_TOO_LONG": [line(name="x" * 256)],
    "LINE_ITEM_UNIT_PRICE_REQUIRED": [{"name": "Cup"}],
    "LINE_ITEM_NEGATIVE_PRICE": [line(-1)],
    "LINE_ITEM_INVALID_QUANTITY": [line(quantity=0), line(quantity=-1)],
    "LINE_ITEM_QUANTITY_TOO_LARGE": [line(quantity=1_000_001)],
    "AMOUNT_TOO_LARGE": [line(10**12), line(999_999_999_999, quantity=2)],
    "INVALID_CURRENCY": [{"name": "Cup", "unit_price_money": money(1, "EURO")}],
    "INVALID_JSON": [line(quantity=1.5), line(quantity="1"), {"name": "Cup", "unit_price_money": money("1")}],
    "INVALID_MONEY": [{"name": "Cup", "unit_price_money": {"amount": 1}}, {"name": "Cup", "unit_price_money": 100}],
    "UNKNOWN_FIELD": [line(price=1), {"name": "Cup", "unit_price_money": {**money(1), "digits": 2}}],
    "RESERVED_FIELD_NOT_YET_SUPPORTED": [
        {"variant_id": "var_1"},
        {"bundle_id": "bun_1", "quantity": 2},
        line(modifiers=[]),
        line(image="https://example.org/cup.png"),
        line(gift_card_purchase={}),
        line(inventory_demands=[]),
        line(fulfillment={}),
    ],
    "METADATA_KEY_TOO_LONG": [line(metadata={"k" * 257: "v"})],
    "ORDER_LINE_ITEM_TAX_INPUT_REQUIRED": [line(tax={})],
    "INVALID_TAX_CATEGORY": [line(tax={"line_item_tax_category": "luxury"})],
    "EXTERNAL_TAX_COMPONENTS_REQUIRED": [
        line(tax=taxed()),
        line(tax={"calculation": {"mode": "external", "price_mode": "additive"}}),
    ],
    "AUTOMATIC_TAX_COMPONENTS_FORBIDDEN": [
        line(tax={"calculation": {**taxed(1)["calculation"], "mode": "automatic"}}),
    ],
    "INVALID_TAX_MODE": [line(tax={"calculation": {**taxed(1)["calculation"], "mode": "manual"}})],
    "INVALID_TAX_PRICE_MODE": [line(tax=taxed(1, price_mode="gross"))],
    "INVALID_TAX_PERCENTAGE": [line(tax=taxed(-1)), line(tax=taxed(100.0001)), line(tax=taxed(1.00001))],
    "INVALID_TAX_TYPE": [
        line(
            tax={
                "calculation": {
                    "mode": "external",
                    "price_mode": "additive",
                    "components": [{"jurisdiction": CITY, "percent": 1, "tax_type": "retail_delivery_fee"}],
                }
            }
        )
    ],
    "INVALID_TAX_JURISDICTION": [
        line(
            tax={
                "calculation": {
                    "mode": "external",
                    "price_mode": "additive",
                    "components": [{"jurisdiction": {**CITY, **wrong}, "percent": 1, "tax_type": "sales_tax"}],
                }
            }
        )
        for wrong in (
            {"country": "DE"},
            {"level": "street"},
            {"state": "New York"},
            {"code": "a b"},
            {"name": "x" * 201},
        )
    ],
    "FLAT_TAX_SCOPE_INVALID": [line(tax=flat_tax(25))],
}


@pytest.mark.parametrize(("code", "item"), [(code, item) for code, items in BAD_LINES.items() for item in items])
def test_a_bad_line_is_refused_by_name(api, code, item):
    with nothing_moves():
        refused(api.post("/v1/orders", {"line_items": [item]}), code)


BAD_ORDERS = {
    "MISSING_LINE_ITEMS": [{}, {"line_items": []}],
    "INVALID_LINE_ITEMS": [{"line_items": {}}],
    "TOO_MANY_LINE_ITEMS": [{"line_items": [line()] * 1_001}],
    "CURRENCY_MISMATCH": [
        {"line_items": [line(), {"name": "Cup", "unit_price_money": money(1, "USD")}]},
        {"line_items": [line()], "requested_tip": {"amount_money": money(1, "USD")}},
        {"line_items": [line()], "discounts": [{"manual": {"name": "x", "amount_money": money(1, "USD")}}]},
        {
            "line_items": [line()],
            "tax": {
                "calculation": {
                    "mode": "external",
                    "price_mode": "additive",
                    "components": [{"flat_money": money(1, "USD"), "jurisdiction": CITY}],
                }
            },
        },
    ],
    "NOTE_TOO_LONG": [
        {"line_items": [line()], "buyer_note": "x" * 5_001},
        {"line_items": [line()], "internal_note": "x" * 5_001},
    ],
    "INVALID_EXTERNAL_REFERENCE_ID": [{"line_items": [line()], "external_reference_id": "x" * 256}],
    "INVALID_METADATA": [{"line_items": [line()], "metadata": {"a": 1}}],
    "RESERVED_FIELD_NOT_YET_SUPPORTED": [
        {"line_items": [line()], "delivery_destination": {}},
        {"line_items": [line()], "inventory_routing_source": {}},
        {"line_items": [line()], "tax": {"location": {}}},
        {"line_items": [line()], "discounts": [{"promotion": {"promotion_code": "SPRING"}}]},
    ],
    "UNKNOWN_FIELD": [{"line_items": [line()], "currency": "EUR"}, {"line_items": [line()], "charges": []}],
    "INVALID_TIP": [
        {"line_items": [line()], "requested_tip": {}},
        {"line_items": [line()], "requested_tip": {"amount_money": money(1), "percent": 5}},
    ],
    "INVALID_TIP_AMOUNT": [
        {"line_items": [line()], "requested_tip": {"amount_money": money(0)}},
        {"line_items": [line()], "requested_tip": {"amount_money": money(-5)}},
        {
            "line_items": [{"name": "Cup", "unit_price_money": money(500, "USD")}],
            "requested_tip": {"amount_money": money(100_001, "USD")},
        },
    ],
    "INVALID_TIP_PERCENT": [
        {"line_items": [line()], "requested_tip": {"percent": percent}} for percent in (0, 0.9999, 100.0001, 5.00001)
    ],
    "ORDER_PERCENTAGE_TAX_FORBIDDEN": [
        {"line_items": [line()], "tax": taxed(5)},
        {"line_items": [line()], "tax": flat_tax(25, percent=1)},
    ],
    "INVALID_FLAT_TAX": [{"line_items": [line()], "tax": flat_tax(0)}, {"line_items": [line()], "tax": flat_tax(-1)}],
    "FLAT_TAX_PRICE_MODE_INVALID": [
        {"line_items": [line()], "tax": {"calculation": {**flat_tax(25)["calculation"], "price_mode": "inclusive"}}}
    ],
    "AUTOMATIC_TAX_COMPONENTS_FORBIDDEN": [
        {"line_items": [line()], "tax": {"calculation": {**flat_tax(25)["calculation"], "mode": "automatic"}}}
    ],
    "EXACTLY_ONE_REQUIRED": [{"line_items": [line()], "discounts": [{}]}],
    "INVALID_DISCOUNT": [{"line_items": [line()], "discounts": [{"manual": {"name": "x", "amount_money": money(0)}}]}],
    "CREATE_ORDER_LINE_ITEM_DISCOUNT_UNSUPPORTED": [
        {
            "line_items": [line()],
            "discounts": [{"manual": {"name": "x", "amount_money": money(1), "discount_class": "line_item"}}],
        },
        {
            "line_items": [line()],
            "discounts": [{"manual": {"name": "x", "amount_money": money(1), "scope": "line_item"}}],
        },
    ],
    "INVALID_REQUEST": [{"line_items": [line()], "tax": {"enabled": False, **flat_tax(25)}}],
}


@pytest.mark.parametrize(("code", "body"), [(code, body) for code, bodies in BAD_ORDERS.items() for body in bodies])
def test_a_bad_order_is_refused_by_name(api, code, body):
    with nothing_moves():
        refused(api.post("/v1/orders", body), code)


CONFLICTS = {
    "NO_DISCOUNTABLE_BALANCE": [
        {"line_items": [line(0)], "discounts": [{"manual": {"name": "x", "amount_money": money(1)}}]},
        {
            "line_items": [line()],
            "discounts": [{"manual": {"name": "x", "amount_money": money(1), "discount_class": "service_charge"}}],
        },
    ],
    "AUTOMATIC_TAX_CONNECTION_REQUIRED": [
        {"line_items": [line(tax={"calculation": {"mode": "automatic", "price_mode": "additive"}})]},
        {"line_items": [line()], "tax": {"calculation": {"mode": "automatic", "price_mode": "additive"}}},
    ],
}


@pytest.mark.parametrize(("code", "body"), [(code, body) for code, bodies in CONFLICTS.items() for body in bodies])
def test_what_cannot_be_done_now_is_refused_by_name(api, code, body):
    with nothing_moves():
        refused(api.post("/v1/orders", body), code, 409)


def test_every_field_at_fault_is_named(api):
    with nothing_moves():
        response = api.post("/v1/orders", {"line_items": [line(-1), {"unit_price_money": money(1)}]})

    refused(response, "INVALID_REQUEST")
    assert {(one["code"], one["param"]) for one in response.error["details"]} == {
        ("LINE_ITEM_NEGATIVE_PRICE", "line_items[0].unit_price_money.amount"),
        ("LINE_ITEM_NAME_REQUIRED", "line_items[1].name"),
    }


def test_somebody_elses_customer_is_not_found(api, other_api):
    customer = other_api.post("/v1/customers", {"email": "ada@example.org"}).data

    with nothing_moves():
        response = api.post("/v1/orders", {"line_items": [line()], "customer_id": customer["customer_id"]})

    refused(response, "RESOURCE_NOT_FOUND", 404)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lines", [1, 60])
@pytest.mark.parametrize(("key", "most"), [(None, 12), ("wish-2", 14)])
def test_creating_takes_as_many_statements_whatever_the_number_of_lines(api, lines, key, most):
    body = {"line_items": [line(tax=taxed(5)) for _ in range(lines)], "requested_tip": {"percent": 10}}
    api.post("/v1/orders", body)  # The API key notes its first use.

    with CaptureQueriesContext(connection) as captured:
        response = api.post("/v1/orders", body, key=key)

    assert response.status_code == 201
    assert len(captured) <= most, "\n".join(query["sql"][:120] for query in captured)
