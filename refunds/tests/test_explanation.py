"""Why an order owes what it owes: terms that sum exactly, from the rows and from the ledger."""

import pytest
from django.db import connection, transaction

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, time_passes
from orders.explaining import explain_order
from orders.models import Order
from orders.tests.sales import (
    activities,
    add_charge,
    create,
    flat_tax,
    line,
    money,
    percentage,
    refused,
    taxed,
)
from payments.tests.acts import later, pay
from refunds.services import disputes
from refunds.tests.disputing import bank, dispute
from refunds.tests.histories import History

SHOWN = {
    "total": ("pricing_amounts", "total_money"),
    "paid": ("settlement_amounts", "paid_money"),
    "refunded": ("settlement_amounts", "refunded_money"),
    "credit": ("settlement_amounts", "credit_money"),
    "balance": ("settlement_amounts", "balance_money"),
    "outstanding": ("settlement_amounts", "outstanding_money"),
}


def explain(api, order_id: str, **query) -> dict[str, list[dict]]:
    """Return the terms of each figure, having held them against the order that the API shows."""
    response = api.get(f"/v1/orders/{order_id}/explanation", query)
    assert response.status_code == 200, response.content
    order = api.get(f"/v1/orders/{order_id}", query).data
    figures = {figure["figure"]: figure for figure in response.data["figures"]}
    assert list(figures) == ["total", "paid", "refunded", "charged_back", "credit", "balance", "outstanding"]
    for name, figure in figures.items():
        assert sum(term["amount_money"]["amount"] for term in figure["terms"]) == figure["amount_money"]["amount"]
        if name in SHOWN:
            group, member = SHOWN[name]
            assert figure["amount_money"] == order[group][member]
    known = {activity["order_activity_id"] for activity in activities(api, order)} if not query else None
    for figure in figures.values():
        for term in figure["terms"]:
            if known and "event" in term:
                assert term["event"]["order_activity_id"] in known
    return {name: figure["terms"] for name, figure in figures.items()}


def brief(terms: list[dict]) -> list[tuple]:
    return [(term["kind"], term["amount_money"]["amount"]) for term in terms]


def test_each_term_of_the_total_with_its_row(api):
    order = create(
        api,
        line(1_000, quantity=2, tax=taxed(8.875)),
        line(505, name="Saucer", tax=taxed(19, price_mode="inclusive")),
        discounts=[{"manual": {"name": "Off", "amount_money": money(100)}}],
        requested_tip={"percent": 12.5},
        tax=flat_tax(30),
    )
    order = add_charge(api, order, **percentage(3.5))

    terms = explain(api, order["order_id"])["total"]

    assert brief(terms) == [
        ("line_item", 2_000),
        ("line_item", 505),
        ("charge", 84),
        ("discount", -80),
        ("discount", -20),
        ("tip", 301),
        ("tax", 170),
        ("included_tax", 0),
        ("tax", 30),
    ]
    cup, saucer = (each["order_line_item_id"] for each in order["line_items"])
    assert (terms[0]["quantity"], terms[0]["unit_price_money"]) == (2, money(1_000))
    assert [term["resource"]["resource_id"] for term in terms[:2]] == [cup, saucer]
    assert [term["applies_to"]["resource_id"] for term in terms[3:5]] == [cup, saucer]
    assert terms[3]["resource"]["resource_type"] == "order_discount"
    assert terms[7]["included_tax_money"] == money(77)
    assert terms[2]["event"]["activity_type"] == "charge_added"
    assert terms[0]["event"]["activity_type"] == "created"


def test_what_rounding_added_or_took_is_told_as_a_fraction(api):
    order = create(
        api,
        line(1_000, quantity=2, tax=taxed(8.875)),
        line(505, name="Saucer", tax=taxed(19, price_mode="inclusive")),
        discounts=[{"manual": {"name": "Off", "amount_money": money(100)}}],
        requested_tip={"percent": 12.5},
    )

    terms = explain(api, order["order_id"])["total"]

    found = {
        (term["kind"], term["amount_money"]["amount"]): (term.get("rounding", {}).get("method"), _exactly(term))
        for term in terms
    }
    # 100 over 2000 and 505: 79.84 and 20.16. 12.5 % of 2405 is 300.625. 8.875 % of 1920 is 170.4.
    assert found == {
        ("line_item", 2_000): (None, (2_000, 1)),
        ("line_item", 505): (None, (505, 1)),
        ("discount", -80): ("largest_remainder", (200_000, 2_505)),
        ("discount", -20): ("largest_remainder", (50_500, 2_505)),
        ("tip", 301): ("half_up", (300_625_000, 1_000_000)),
        ("tax", 170): ("half_up", (170_400_000, 1_000_000)),
        # 19 % inside 4.85.
        ("included_tax", 0): ("half_up", (485 * 190_000, 1_190_000)),
    }


def _exactly(term: dict) -> tuple[int, int]:
    """Return what a term is before it was rounded, as a fraction of a minor unit; without a sign."""
    amount = abs(term.get("included_tax_money", term["amount_money"])["amount"])
    rounding = term.get("rounding")
    if rounding is None:
        return amount, 1
    return amount * rounding["denominator"] - rounding["numerator"], rounding["denominator"]


def test_paid_refunded_and_credited_each_with_its_source(api, environment):
    order = create(api, line(1_000, quantity=3, tax=taxed(10)), requested_tip={"amount_money": money(200)})
    row = Order.objects.get(id=order["order_id"])
    pay(api, row)
    made = stories.refund(row, amount_money=eur(1_200))

    figures = explain(api, row.id)

    (paid,) = figures["paid"]
    assert (paid["kind"], paid["amount_money"]) == ("capture", money(3_500))
    assert paid["resource"] == {
        "resource_type": "payment_intent",
        "resource_id": api.get(f"/v1/orders/{row.id}").data["payment_intent_ids"][0],
    }
    assert paid["event"]["activity_type"] == "payment"
    assert brief(figures["refunded"]) == [("refund", 1_200)]
    assert figures["refunded"][0]["resource"] == {"resource_type": "refund", "resource_id": made.id}
    assert {term["resource"]["resource_id"] for term in figures["credit"]} == {made.id}
    assert {term["kind"] for term in figures["credit"]} <= {"credit_goods", "credit_tax", "credit_tip"}
    assert brief(figures["balance"]) == [
        ("total", 3_500),
        ("credit", -1_200),
        ("paid", -3_500),
        ("refunded", 1_200),
        ("charged_back", 0),
    ]


def test_a_refund_that_failed_is_told_with_what_undid_it(api, environment):
    order = stories.open_order(environment)
    pay(api, order, "pm_card_refundFail")
    stories.refund(order)
    time_passes(environment, later(days=3))
    time_passes(environment, later(days=4))

    figures = explain(api, order.id)

    assert brief(figures["refunded"]) == [("refund", 10_000), ("refund_reversed", -10_000)]
    assert brief(figures["credit"]) == [("credit_goods", 10_000), ("credit_goods_reversed", -10_000)]


def test_a_lost_dispute_and_what_was_written_off_for_it(api, environment):
    order = stories.paid_order(environment)
    case = bank(dispute(order), "lose")
    disputes.write_off(dispute_id=case.id, reason="Not worth it", actor=stories.actor_in(environment))

    figures = explain(api, order.id)

    assert brief(figures["charged_back"]) == [("dispute_withdrawn", 10_000)]
    assert brief(figures["credit"]) == [("write_off", 10_000)]
    assert figures["credit"][0]["resource"] == {"resource_type": "dispute", "resource_id": case.id}


def test_closing_writes_off_what_is_owed(api):
    order = create(api)
    api.post(f"/v1/orders/{order['order_id']}/close", {})

    figures = explain(api, order["order_id"])

    assert brief(figures["credit"]) == [("write_off", 1_000)]
    assert figures["credit"][0]["resource"] == {"resource_type": "order", "resource_id": order["order_id"]}
    assert figures["credit"][0]["event"]["activity_type"] == "closed"


@pytest.mark.parametrize("seed", range(500, 516, 8))
@pytest.mark.django_db(transaction=True)
def test_whatever_happens_the_terms_sum_exactly_at_every_moment(api, seed):
    for each in range(seed, seed + 8):
        history = History(api, each).go(6)
        explain(api, history.id)
        for at, answer in history.answers:
            then = explain(api, history.id, as_of=at.isoformat())
            total = answer["pricing_amounts"]["total_money"]["amount"]
            assert sum(term["amount_money"]["amount"] for term in then["total"]) == total


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE orders_lineitem SET discount_amount = 1, total_amount = total_amount - 1",
        "UPDATE payments_paymentoperation SET captured_amount = captured_amount - 1",
        "UPDATE orders_order SET credit_amount = 1, total_amount = 1001, subtotal_amount = 1001",
    ],
)
def test_what_does_not_add_up_is_said_out_loud_and_not_explained(api, environment, tampering, caplog):
    """The guard would refuse to commit any of this; inside the transaction that did it, the explanation refuses it."""
    order = stories.paid_order(environment, total=1_000)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(tampering)
        path = f"/v1/orders/{order.id}/explanation"
        response = api.http.get(path, headers={"Authorization": f"Bearer {api.secret}"})
        transaction.set_rollback(True)

    assert response.status_code == 500
    assert response.json()["error"]["code"] == "EXPLANATION_DOES_NOT_ADD_UP"
    assert "explanation.does_not_add_up" in caplog.text


def test_the_number_of_statements_is_the_same_for_any_order(api, environment, django_assert_num_queries):
    small = create(api)
    large = create(api, *[line(100 + n, tax=taxed(7, 19)) for n in range(20)])
    row = Order.objects.get(id=large["order_id"])
    pay(api, row)
    stories.refund(row, amount_money=eur(500))
    stories.refund(row, amount_money=eur(500))
    for order in (small, large):
        # Begin and end, the order, its four kinds of parts, events, entries, what was recorded by hand, credit notes,
        # payments, refunds, disputes.
        with django_assert_num_queries(14):
            explain_order(order["order_id"], actor=stories.actor_in(environment))


def test_whose_order_it_is_not_gets_no_explanation(api, other_api):
    order = create(api)

    refused(other_api.get(f"/v1/orders/{order['order_id']}/explanation"), "ORDER_NOT_FOUND", 404)


def test_moments_of_an_explanation(api):
    order = create(api)
    path = f"/v1/orders/{order['order_id']}/explanation"

    refused(api.get(path, {"as_of": "2999-01-01T00:00:00Z"}), "INVALID_AS_OF", param="as_of")
    refused(api.get(path, {"as_of": "soon"}), "INVALID_AS_OF", param="as_of")
    assert_books(order["order_id"], total=1_000)
