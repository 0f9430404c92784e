"""An order after money has settled: what was paid stays as it was, the rest can still change."""

import pytest

from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books
from orders.tests.sales import (
    activities,
    add_charge,
    create,
    fee,
    flat_tax,
    line,
    money,
    nothing_moves,
    percentage,
    pricing,
    refused,
    settlement,
    taxed,
)


def path(order, *rest):
    return "/".join(["/v1/orders", order["order_id"], *rest])


@pytest.fixture
def paid(api):
    """A paid order of 2 × 10.00 and 5.00, taxed, with 3.00 off, 5.00 delivery and a tip of 1.00."""
    customer = api.post("/v1/customers", {"email": "ada@example.org"}).data["customer_id"]
    order = create(
        api,
        line(1_000, quantity=2, tax=taxed(10)),
        line(500, name="Saucer"),
        customer_id=customer,
        discounts=[{"manual": {"name": "Off", "amount_money": money(300)}}],
        requested_tip={"amount_money": money(100)},
    )
    order = add_charge(api, order)
    return pay(api, order)


def pay(api, order):
    body = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}
    response = api.post(path(order, "pay"), body)
    assert response.data["payment_attempt"]["status"] == "succeeded"
    return api.get(path(order)).data


def test_a_paid_order_shows_it_everywhere(api, paid):
    total = pricing(paid)["total"]

    assert (paid["status"], paid["payment_status"], paid["refund_status"]) == ("open", "paid", "none")
    assert settlement(paid) == {
        "paid": total,
        "refunded": 0,
        "net_collected": total,
        "balance": 0,
        "outstanding": 0,
        "credit": 0,
        "settled_tip": 100,
    }
    assert paid["applied_discounts"][0]["status"] == "redeemed"
    (tip,) = paid["tips"]
    assert (tip["status"], tip["settled_amount_money"]) == ("settled", money(100))
    payment = next(one for one in activities(api, paid) if one.get("activity_type") == "payment")
    assert payment["payment_intent_id"] == paid["payment_intent_ids"][0]
    assert payment["balance_delta_money"] == money(-total)
    assert payment["running_balance_money"] == money(0)
    assert_books(paid["order_id"], paid=total)


def line_path(order, index=0):
    return path(order, "line-items", order["line_items"][index]["order_line_item_id"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"unit_price_money": money(900)}, "PAID_LINE_ITEM_PRICE_CHANGE_FORBIDDEN"),
        ({"unit_price_money": money(1_100)}, "PAID_LINE_ITEM_PRICE_CHANGE_FORBIDDEN"),
        ({"quantity": 1}, "PAID_LINE_ITEM_QUANTITY_DECREASE_FORBIDDEN"),
        ({"quantity": 3}, "PAID_LINE_ITEM_QUANTITY_CHANGE_FORBIDDEN"),
        ({"tax": {"taxable": False}}, "PAID_LINE_ITEM_TAX_CHANGE_FORBIDDEN"),
    ],
)
def test_a_paid_line_keeps_its_worth(api, paid, body, code):
    with nothing_moves():
        refused(api.patch(line_path(paid), body), code, 409)


def test_a_paid_line_is_not_removed(api, paid):
    with nothing_moves():
        refused(api.delete(line_path(paid)), "PAID_LINE_ITEM_REMOVAL_FORBIDDEN", 409)


def test_words_of_a_paid_line_change(api, paid):
    body = {"name": "Mug", "quantity": 2, "unit_price_money": money(1_000), "metadata": {"a": "1"}}

    changed = api.patch(line_path(paid), body)

    assert changed.status_code == 200
    assert changed.data["line_items"][0]["name"] == "Mug"
    assert changed.data["pricing_amounts"] == paid["pricing_amounts"]
    assert changed.data["payment_status"] == "paid"


@pytest.mark.parametrize(
    "verb",
    [
        lambda api, order, part: api.patch(part, {"amount_money": money(1)}),
        lambda api, order, part: api.patch(part, {"percent": 5, "calculation_basis": "subtotal_pre_discount"}),
        lambda api, order, part: api.patch(part, {"tax": taxed(5)}),
        lambda api, order, part: api.delete(part),
    ],
)
def test_a_paid_charge_keeps_its_worth(api, paid, verb):
    part = path(paid, "charges", paid["charges"][0]["order_charge_id"])

    with nothing_moves():
        refused(verb(api, paid, part), "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED", 409)


def test_a_redeemed_discount_is_history(api, paid):
    body = {"order_discount_ids": [paid["applied_discounts"][0]["order_discount_id"]]}

    with nothing_moves():
        response = api.post(path(paid, "discounts", "remove"), body)

    refused(response, "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED", 409)
    assert response.error["current_status"] == "redeemed"


def test_nothing_paid_is_left_to_discount(api, paid):
    with nothing_moves():
        response = api.post(path(paid, "discounts"), {"manual": {"name": "Off", "amount_money": money(1)}})

    refused(response, "NO_DISCOUNTABLE_BALANCE", 409)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"tax": flat_tax(25)}, "ORDER_TAX_NOT_UPDATABLE_AFTER_PAYMENT"),
        ({"tax": {"enabled": False}}, "ORDER_TAX_NOT_UPDATABLE_AFTER_PAYMENT"),
        ({"requested_tip": None}, "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED"),
        ({"requested_tip": {"percent": 20}}, "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED"),
    ],
)
def test_tip_and_taxes_stay(api, paid, body, code):
    with nothing_moves():
        refused(api.patch(path(paid), body), code, 409)


def test_a_tip_does_not_come_after_the_first_payment(api):
    order = pay(api, create(api))
    order = api.post(path(order, "line-items"), {"line_items": [line(500)]}).data
    assert order["payment_status"] == "partially_paid"

    with nothing_moves():
        response = api.patch(path(order), {"requested_tip": {"percent": 10}})

    refused(response, "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED", 409, "requested_tip")


def test_the_customer_who_paid_stays(api, paid):
    other = api.post("/v1/customers", {"email": "bob@example.org"}).data["customer_id"]

    with nothing_moves():
        response = api.patch(path(paid), {"customer_id": other})

    refused(response, "ORDER_CUSTOMER_NOT_UPDATABLE_AFTER_PAYMENT", 409)


def test_words_of_a_paid_order_change(api, paid):
    changed = api.patch(path(paid), {"buyer_note": "Ring", "metadata": {"a": "1"}, "external_reference_id": "x"})

    assert changed.status_code == 200
    assert changed.data["settlement_amounts"] == paid["settlement_amounts"]


def test_what_is_added_is_owed_and_can_be_changed_until_it_is_paid(api, paid):
    before = pricing(paid)["total"]

    order = api.post(path(paid, "line-items"), {"line_items": [line(700, tax=taxed(10))]}).data
    order = add_charge(api, order, **percentage(10, calculation_basis="subtotal_pre_discount"))
    assert order["payment_status"] == "partially_paid"
    # 770 for the line with its tax, and 10 % of 3200, of all that is sold.
    assert settlement(order)["outstanding"] == 770 + 320
    assert pricing(order)["total"] == before + 770 + 320

    order = api.patch(line_path(order, 2), {"quantity": 2}).data
    assert settlement(order)["outstanding"] == 1_540 + 390
    order = api.post(path(order, "discounts"), {"manual": {"name": "Off", "amount_money": money(5_000)}}).data
    # The discount reaches what is not paid, and no further.
    assert order["applied_discounts"][1]["applied_money"] == money(1_400)

    order = api.delete(path(order, "charges", order["charges"][1]["order_charge_id"])).data
    order = api.delete(line_path(order, 2)).data
    assert settlement(order)["outstanding"] == 0
    assert order["payment_status"] == "paid"
    assert_books(order["order_id"], paid=before)


def test_the_rest_is_paid_by_a_second_payment(api, paid):
    api.post(path(paid, "line-items"), {"line_items": [line(700)]})

    order = pay(api, paid)

    assert order["payment_status"] == "paid"
    assert settlement(order)["paid"] == pricing(paid)["total"] + 700
    assert len(order["payment_intent_ids"]) == 2
    refused(api.delete(line_path(order, 2)), "PAID_LINE_ITEM_REMOVAL_FORBIDDEN", 409)


def test_a_paid_order_closes_without_a_write_off(api, paid):
    closed = api.post(path(paid, "close"), {}).data

    assert (closed["status"], closed["payment_status"]) == ("closed", "paid")
    assert closed["settlement_amounts"] == paid["settlement_amounts"]
    assert closed["applied_discounts"][0]["status"] == "redeemed"


def test_a_partly_paid_order_closes_with_the_rest_written_off(api, paid):
    api.post(path(paid, "line-items"), {"line_items": [line(700)]})

    closed = api.post(path(paid, "close"), {}).data

    assert settlement(closed)["credit"] == 700
    assert settlement(closed)["outstanding"] == settlement(closed)["balance"] == 0
    assert closed["payment_status"] == "paid"
    assert_books(paid["order_id"], credit=700)


def test_a_refunded_order_shows_it_everywhere(api, paid):
    stories.refund(stories.Order.objects.get(id=paid["order_id"]))

    order = api.get(path(paid)).data

    total = pricing(paid)["total"]
    assert (order["payment_status"], order["refund_status"]) == ("paid", "refunded")
    assert settlement(order)["refunded"] == settlement(order)["credit"] == total
    assert settlement(order)["net_collected"] == settlement(order)["balance"] == settlement(order)["outstanding"] == 0
    assert order["tips"][0]["status"] == "refunded"
    assert order["tips"][0]["refunded_money"] == money(100)
    assert [item["refunded_quantity"] for item in order["line_items"]] == [2, 1]
    assert [item["refunded_money"] for item in order["line_items"]] == [
        item["total_money"] for item in order["line_items"]
    ]
    assert order["charges"][0]["refunded_money"] == order["charges"][0]["total_money"]
    refund = next(one for one in activities(api, order) if one.get("activity_type") == "refund")
    assert refund["refund_id"] == order["refund_ids"][0]
    assert refund["running_balance_money"] == money(0)


def test_lists_find_what_was_paid_and_what_was_refunded(api, environment):
    stories.open_order(environment, total=500)
    paid = stories.paid_order(environment, total=500)
    refunded = stories.paid_order(environment, total=500)
    stories.refund(refunded, amount_money=Money(200, "EUR"))

    def listed(**query):
        return [order["order_id"] for order in api.get("/v1/orders", query).data]

    assert listed(payment_status="paid", sort_direction="asc") == [paid.id, refunded.id]
    assert listed(refund_status=["partially_refunded", "refunded"]) == [refunded.id]
    assert listed(payment_status="paid", refund_status="none") == [paid.id]


# While a payment is in progress


@pytest.fixture
def held(api, environment):
    """An order whose amount is held on a card: its attempt is open."""
    return api.get(f"/v1/orders/{stories.held_order(environment, total=1_000).id}").data


@pytest.mark.parametrize(
    "verb",
    [
        lambda api, order: api.post(path(order, "line-items"), {"line_items": [line()]}),
        lambda api, order: api.patch(line_path(order), {"quantity": 2}),
        lambda api, order: api.delete(line_path(order)),
        lambda api, order: api.post(path(order, "charges"), {"charge": fee()}),
        lambda api, order: api.post(path(order, "discounts"), {"manual": {"name": "Off", "amount_money": money(1)}}),
        lambda api, order: api.post(path(order, "discounts", "reprice")),
        lambda api, order: api.patch(path(order), {"requested_tip": {"percent": 10}}),
        lambda api, order: api.patch(path(order), {"tax": {"enabled": False}}),
        lambda api, order: api.post(path(order, "close"), {}),
    ],
)
def test_nothing_about_the_amounts_changes_while_a_payment_is_in_progress(api, held, verb):
    with nothing_moves():
        response = verb(api, held)

    refused(response, "ORDER_PAYMENT_ATTEMPT_ACTIVE", 409)
    assert response.error["order_payment_attempt_id"] == held["active_payment_attempt"]["order_payment_attempt_id"]
    assert response.error["payment_attempt_status"] == "requires_capture"


def test_the_customer_does_not_change_while_a_payment_is_in_progress(api, held):
    customer = api.post("/v1/customers", {"email": "ada@example.org"}).data["customer_id"]

    with nothing_moves():
        refused(api.patch(path(held), {"customer_id": customer}), "ORDER_PAYMENT_ATTEMPT_ACTIVE", 409)


def test_words_change_while_a_payment_is_in_progress(api, held):
    assert api.patch(path(held), {"buyer_note": "Ring"}).status_code == 200
