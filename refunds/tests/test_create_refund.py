"""Refunding: at most what was paid, of the parts and through the payments it names, and promised until it is done."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flint.celery import collecting
from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import settled_in_trouble
from flint.testing.stories import actor_in, eur, line, settled, wire
from orders.models import Charge, LineItem
from orders.services import add_charge, close_order
from payments.tests.acts import at_processor, charged, confirm, hold, kinds_of, nothing_moves, pay, stage

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")


def refund(api, order=None, *, run: bool = True, key: str | None = None, **data):
    """Create a refund over HTTP and, unless told otherwise, run what that sets off."""
    body = {"order_id": order.id, **data} if order else data
    with settled() if run else collecting():
        answer = api.post("/v1/refunds", body, key=key)
    if run:
        settled_in_trouble(api.environment)
    return answer


def of_line(row: LineItem, **data):
    return {"order_line_item_id": row.id, **data}


def refunds_at_processor(order) -> list[int]:
    return [effect.amount for effect in at_processor(order).refunds]


@pytest.fixture
def cart(environment):
    """A paid order: three coffees at 10.00, one cake at 5.99, delivery at 4.01; 40.00 in all."""
    order = stories.open_order(environment, line(1_000, quantity=3), line(599, name="Cake"))
    delivery = {"name": "Delivery", "type": "delivery_fee", "amount_money": eur(401)}
    order = add_charge(order_id=order.id, charge=delivery, actor=actor_in(environment))
    return stories.pay(order).order


@pytest.fixture
def coffee(cart):
    return cart.line_items.get(name="Coffee")


def test_all_that_is_left_goes_back(api, cart):
    made = refund(api, cart, reason="requested_by_customer", reason_message="Cold.")

    assert (made.status_code, made.data["status"]) == (201, "pending")
    assert (made.data["amount_money"], made.data["reason"]) == (wire(eur(4_000)), "requested_by_customer")
    read = api.get(f"/v1/refunds/{made.data['refund_id']}").data
    assert read["status"] == "succeeded"
    assert {key: value for key, value in read.items() if key not in CHANGING} == {
        key: value for key, value in made.data.items() if key not in CHANGING
    }
    assert_books(cart, refunded=4_000, credit=4_000, balance=0, refund_status="refunded", payment_status="paid")
    assert refunds_at_processor(cart) == [4_000]
    assert kinds_of(cart)[-2:] == ["refund.created", "refund.succeeded"]


CHANGING = {"status", "updated_at", "payment_refunds", "tender_allocations"}


def test_until_the_processor_has_answered_the_money_is_reserved_and_not_yet_refunded(api, cart):
    made = refund(api, cart, run=False, amount_money=wire(eur(1_500)))

    assert made.data["status"] == "pending"
    assert_books(cart, refund_pending=1_500, refunded=0, credit=0, balance=0, refund_status="none")
    with nothing_moves(cart):
        refused = refund(api, cart, run=False, amount_money=wire(eur(2_501)))
    assert (refused.code, refused.error["maximum_money"]) == ("AMOUNT_EXCEEDS_REFUNDABLE", wire(eur(2_500)))


def test_a_part_leaves_the_rest_refundable(api, cart):
    refund(api, cart, amount_money=wire(eur(1_500)))
    assert_books(cart, refunded=1_500, credit=1_500, balance=0, refund_status="partially_refunded")

    refund(api, cart, amount_money=wire(eur(2_500)))
    assert_books(cart, refunded=4_000, credit=4_000, balance=0, refund_status="refunded")


def test_units_of_a_line_go_back_with_their_worth(api, cart, coffee):
    made = refund(api, cart, line_items=[of_line(coffee, quantity=2)])

    (row,) = made.data["line_item_allocations"]
    assert (row["quantity"], row["refunded_money"]) == (2, wire(eur(2_000)))
    coffee.refresh_from_db()
    assert (coffee.refunded_quantity, coffee.refunded_amount) == (2, 2_000)
    assert_books(cart, refunded=2_000, credit=2_000, balance=0)


def test_an_amount_of_a_line_and_the_whole_of_a_charge_go_back_together(api, cart, coffee):
    fee = cart.charges.get()
    targets = {
        "line_items": [of_line(coffee, amount_money=wire(eur(250)))],
        "charges": [{"order_charge_id": fee.id}],
        "amount_money": wire(eur(651)),
    }

    made = refund(api, cart, **targets)

    assert made.data["charge_allocations"][0]["refunded_money"] == wire(eur(401))
    fee.refresh_from_db()
    coffee.refresh_from_db()
    assert (fee.refunded_amount, coffee.refunded_amount, coffee.refunded_quantity) == (401, 250, 0)
    assert_books(cart, refunded=651, credit=651, balance=0)


def test_an_amount_above_its_targets_is_spread_over_the_rest(api, cart, coffee):
    refund(api, cart, line_items=[of_line(coffee)], amount_money=wire(eur(4_000)))

    assert set(LineItem.objects.filter(order=cart).values_list("total_amount", "refunded_amount")) == {
        (3_000, 3_000),
        (599, 599),
    }
    assert Charge.objects.get(order=cart).refunded_amount == 401
    assert_books(cart, refunded=4_000, refund_status="refunded")


def test_the_newest_payment_is_given_back_first_and_a_refund_may_span_several(api, environment):
    order = stories.open_order(environment)
    first, second = stage(api, order, 6_000), stage(api, order, 4_000)
    confirm(api, order, first, completion_behavior="partial_payment")
    confirm(api, order, second)

    made = refund(api, order, amount_money=wire(eur(5_000)))

    read = api.get(f"/v1/refunds/{made.data['refund_id']}").data
    tenders = [(row["payment_intent_id"], row["amount_money"], row["status"]) for row in read["tender_allocations"]]
    assert tenders == [(second, wire(eur(4_000)), "succeeded"), (first, wire(eur(1_000)), "succeeded")]
    assert sorted(refunds_at_processor(order)) == [1_000, 4_000]
    assert_books(order, refunded=5_000, credit=5_000, balance=0)


def test_one_payment_of_several_can_be_named(api, environment):
    order = stories.open_order(environment)
    first, second = stage(api, order, 6_000), stage(api, order, 4_000)
    confirm(api, order, first, second)

    refund(api, payment_intent_id=first)

    assert refunds_at_processor(order) == [6_000]
    with nothing_moves(order):
        assert refund(api, order, payment_intent_id=first, amount_money=wire(eur(1))).code == "NOTHING_TO_REFUND"
        refused = refund(api, order, payment_intent_id=second, amount_money=wire(eur(4_001)))
        assert (refused.code, refused.error["maximum_money"]) == ("AMOUNT_EXCEEDS_REFUNDABLE", wire(eur(4_000)))
    assert_books(order, refunded=6_000, credit=6_000, balance=0)


class TestRefusals:
    """What does not fit is refused with what would, and moves nothing."""

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            ({"amount_money": wire(eur(4_001))}, "AMOUNT_EXCEEDS_REFUNDABLE"),
            ({"amount_money": wire(eur(0))}, "AMOUNT_TOO_SMALL"),
            ({"amount_money": wire(eur(-5))}, "INVALID_AMOUNT"),
            ({"amount_money": wire(Money(100, "USD"))}, "CURRENCY_MISMATCH"),
            ({"amount_money": {"amount": "1.000,50", "currency": "EUR"}}, "INVALID_JSON"),
            ({"reason": "because"}, "INVALID_REFUND_REASON"),
            ({"balance_effect": "perhaps"}, "INVALID_BALANCE_EFFECT"),
            ({"refund_method": "cash"}, "INVALID_REFUND_METHOD"),
            ({"line_items": []}, None),
        ],
    )
    def test_of_the_whole(self, api, cart, data, code):
        with nothing_moves(cart):
            refused = refund(api, cart, **data)

        assert refused.status_code == 400
        assert code is None or refused.code == code

    def test_of_lines(self, api, cart, coffee, environment):
        elsewhere = stories.paid_order(environment).line_items.get()
        both = {"quantity": 1, "amount_money": wire(eur(1))}

        with nothing_moves(cart):
            for target, code in (
                ([of_line(coffee, quantity=4)], "LINE_ITEM_REFUND_QUANTITY_EXCEEDS_REFUNDABLE"),
                ([of_line(coffee, quantity=0)], "INVALID_LINE_ITEM_REFUND_QUANTITY"),
                ([of_line(coffee, amount_money=wire(eur(3_001)))], "LINE_ITEM_REFUND_AMOUNT_EXCEEDS_REFUNDABLE"),
                ([of_line(coffee, **both)], "LINE_ITEM_REFUND_TARGET_AMBIGUOUS"),
                ([of_line(coffee), of_line(coffee)], "DUPLICATE_LINE_ITEM_TARGET"),
                ([of_line(elsewhere)], "LINE_ITEM_NOT_ON_ORDER"),
                ([{"quantity": 1}], "ORDER_LINE_ITEM_ID_REQUIRED"),
            ):
                assert refund(api, cart, line_items=target).code == code
        refund(api, cart, line_items=[of_line(coffee)])
        with nothing_moves(cart):
            assert refund(api, cart, line_items=[of_line(coffee)]).code == "NOTHING_TO_REFUND_FOR_LINE_ITEM"

    def test_of_charges(self, api, cart, coffee):
        fee = {"order_charge_id": cart.charges.get().id}
        strange = {"order_charge_id": "och_01J9Z6W2V7Q0M3T8K4B5N6P7R8"}

        with nothing_moves(cart):
            for target, code in (
                ([{**fee, "amount_money": wire(eur(402))}], "CHARGE_REFUND_AMOUNT_EXCEEDS_REFUNDABLE"),
                ([{**fee, "amount_money": wire(eur(0))}], "INVALID_CHARGE_REFUND_AMOUNT"),
                ([fee, fee], "DUPLICATE_CHARGE_TARGET"),
                ([strange], "CHARGE_NOT_ON_ORDER"),
                ([{}], "ORDER_CHARGE_ID_REQUIRED"),
            ):
                assert refund(api, cart, charges=target).code == code
            mixed = {"line_items": [of_line(coffee)], "charges": [fee]}
            assert refund(api, cart, **mixed).code == "AMOUNT_REQUIRED_FOR_MIXED_REFUND_TARGETS"
            too_little = refund(api, cart, **mixed, amount_money=wire(eur(3_400)))
            assert too_little.code == "REFUND_TARGETS_EXCEED_REFUND_AMOUNT"
            assert too_little.error["required_money"] == wire(eur(3_401))
        refund(api, cart, charges=[fee])
        with nothing_moves(cart):
            assert refund(api, cart, charges=[fee]).code == "NOTHING_TO_REFUND_FOR_CHARGE"

    def test_of_what_was_never_collected(self, api, environment):
        order = stories.open_order(environment)
        leg = stage(api, order)

        with nothing_moves(order):
            assert refund(api, order).code == "NO_PAYMENTS_FOR_ORDER"
            assert refund(api, payment_intent_id=leg).code == "PAYMENT_INTENT_NOT_REFUNDABLE"

    def test_d052_of_a_mere_hold(self, api, environment):
        order = stories.open_order(environment)
        leg, attempt = hold(api, order)

        with nothing_moves(order):
            assert refund(api, order, amount_money=wire(eur(3_000))).code == "NO_PAYMENTS_FOR_ORDER"
            assert refund(api, payment_intent_id=leg).status_code == 409

        assert_books(order, paid=0, refunded=0, outstanding=10_000, active_attempt_id=attempt)

    def test_of_nothing_in_particular(self, api):
        assert api.post("/v1/refunds", {"amount_money": wire(eur(1))}).code == "MISSING_REQUIRED_FIELD"

    def test_of_a_strangers(self, other_api, cart):
        made = stories.refund(cart, amount_money=eur(1))

        with nothing_moves(cart):
            assert refund(other_api, cart).code == "ORDER_NOT_FOUND"
            assert refund(other_api, payment_intent_id=cart.payment_intents.get().id).status_code == 404
            assert other_api.get(f"/v1/refunds/{made.id}").status_code == 404
            assert other_api.get("/v1/refunds").data == []

    def test_of_an_order_and_another_orders_payment(self, api, cart, environment):
        elsewhere = stories.paid_order(environment).payment_intents.get()

        with nothing_moves(cart):
            assert refund(api, cart, payment_intent_id=elsewhere.id).code == "PAYMENT_INTENT_NOT_PART_OF_ORDER"

    def test_of_a_payment_correction_with_targets(self, api, cart, coffee):
        with nothing_moves(cart):
            refused = refund(api, cart, balance_effect="reopen", line_items=[of_line(coffee)])
        assert refused.code == "INVALID_BALANCE_EFFECT"


def test_d076_the_same_key_is_one_refund_and_another_key_a_second_one(api, environment):
    order = stories.paid_order(environment)
    twenty = {"amount_money": wire(eur(2_000))}

    first = refund(api, order, key="a", **twenty)
    with nothing_moves(order):
        again = refund(api, order, key="a", **twenty)
        assert refund(api, order, key="a", amount_money=wire(eur(1))).code == "IDEMPOTENCY_KEY_REUSED"
    refund(api, order, key="b", **twenty)

    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
    assert_books(order, refunded=4_000, credit=4_000, balance=0)
    assert refunds_at_processor(order) == [2_000, 2_000]


def test_d087_each_refund_moves_its_own_amount(api, environment):
    order = stories.paid_order(environment, total=9_000)

    for amount in (1_000, 2_000, 3_000):
        refund(api, order, amount_money=wire(eur(amount)))

    assert refunds_at_processor(order) == [1_000, 2_000, 3_000]
    booked = order.entries.filter(kind="refund").order_by("sequence").values_list("amount", flat=True)
    assert list(booked) == [1_000, 2_000, 3_000]
    assert_books(order, refunded=6_000, credit=6_000, balance=0)


def test_d089_a_part_then_the_rest_is_partly_refunded_then_refunded(api, environment):
    order = stories.paid_order(environment, total=1_700)

    refund(api, order, amount_money=wire(eur(1_200)))
    assert_books(order, refund_status="partially_refunded", payment_status="paid", status="open")
    refund(api, order, amount_money=wire(eur(500)))

    assert_books(order, refund_status="refunded", refunded=1_700, credit=1_700, balance=0)


def test_d090_goods_that_come_back_do_not_make_the_customer_owe_again(api, environment):
    order = stories.open_order(environment, line(1_679))
    shipping = {"name": "Shipping", "type": "shipping_fee", "amount_money": eur(500)}
    order = add_charge(order_id=order.id, charge=shipping, actor=actor_in(environment))
    pay(api, order)

    refund(api, order, line_items=[of_line(order.line_items.get(), amount_money=wire(eur(1_599)))])

    assert_books(order, total=2_179, credit=1_599, paid=2_179, refunded=1_599, balance=0, payment_status="paid")


def test_d091_a_payment_correction_leaves_the_debt(api, environment):
    order = stories.paid_order(environment, total=2_500)

    refund(api, order, balance_effect="reopen")
    assert_books(order, credit=0, paid=2_500, refunded=2_500, outstanding=2_500, payment_status="unpaid")

    pay(api, order, "pm_card_mastercard")
    assert_books(order, total=2_500, credit=0, paid=5_000, refunded=2_500, balance=0, payment_status="paid")
    assert_books(order, refund_status="partially_refunded")
    assert order.line_items.get().refunded_amount == 0
    refund(api, order)
    assert_books(order, paid=5_000, refunded=5_000, credit=2_500, balance=0, refund_status="refunded")


def test_d096_two_equal_refunds_are_two(api, environment):
    order = stories.paid_order(environment, line(1_000, quantity=5))
    one = [of_line(order.line_items.get(), quantity=1)]

    for key in ("item 1", "item 1", "item 2", "item 2"):
        refund(api, order, key=key, line_items=one)

    assert_books(order, refunded=2_000, credit=2_000, balance=0)
    assert refunds_at_processor(order) == [1_000, 1_000]
    assert order.line_items.get().refunded_quantity == 2


def test_d097_a_refund_is_in_the_currency_of_the_sale(api, environment):
    order = stories.open_order(environment, line(9_863_300, currency="INR"))
    pay(api, order)

    with nothing_moves(order):
        assert refund(api, order, amount_money=wire(Money(100_000, "GBP"))).code == "CURRENCY_MISMATCH"
        assert refund(api, order, amount_money={"amount": "1.000,50", "currency": "INR"}).status_code == 400
    refund(api, order)

    assert_books(order, refunded=9_863_300, credit=9_863_300, balance=0)
    assert refunds_at_processor(order) == [9_863_300]


def test_d086_after_a_part_refund_the_rest_is_what_is_left(api, environment):
    order = stories.paid_order(environment, total=127_200)
    refund(api, order, amount_money=wire(eur(50_000)))

    refund(api, order)
    with nothing_moves(order):
        assert refund(api, order).code == "NOTHING_TO_REFUND"
    close_order(order_id=order.id, actor=actor_in(environment))

    assert refunds_at_processor(order) == [50_000, 77_200]
    assert_books(order, paid=127_200, refunded=127_200, credit=127_200, balance=0, status="closed")


def test_d146_a_full_refund_is_the_order_to_the_penny(api, environment):
    at_once, unit_by_unit = (discounted_cart(environment) for _ in range(2))
    assert_books(at_once, total=17_925, paid=17_925)

    refund(api, at_once, line_items=[of_line(at_once.line_items.get(), quantity=10)])
    for _ in range(10):
        refund(api, unit_by_unit, line_items=[of_line(unit_by_unit.line_items.get(), quantity=1)])

    for order in (at_once, unit_by_unit):
        assert_books(order, refunded=17_925, credit=17_925, balance=0, refund_status="refunded")


def discounted_cart(environment):
    vat = {"tax_type": "vat", "percent": 200_000, "jurisdiction": {"name": "Austria", "country": "AT"}}
    tax = {"calculation": {"mode": "external", "price_mode": "inclusive", "components": [vat]}}
    discount = {"manual": {"name": "Quarter off", "amount_money": eur(5_975)}}
    return stories.paid_order(environment, line(2_390, quantity=10, tax=tax), discounts=[discount])


def test_d147_thirds_leave_no_cent_behind(api, environment):
    order = stories.paid_order(environment, line(3_333, quantity=2), line(3_334))
    odd = stories.open_order(environment, line(1_000, quantity=3), discounts=[
        {"manual": {"name": "One off", "amount_money": eur(1)}}
    ])  # fmt: skip
    pay(api, odd)

    for _ in range(3):
        refund(api, odd, line_items=[of_line(odd.line_items.get(), quantity=1)])
    assert refunds_at_processor(odd) == [999, 1_000, 1_000]
    assert_books(odd, refunded=2_999, credit=2_999, balance=0, refund_status="refunded")

    for amount in (3_333, 3_333, 3_334):
        refund(api, order, amount_money=wire(eur(amount)))
    assert_books(order, refunded=10_000, credit=10_000, balance=0, refund_status="refunded")


def test_lists_are_filtered_and_complete(api, cart, environment):
    other = stories.paid_order(environment)
    small = refund(api, cart, amount_money=wire(eur(100)), reason="duplicate", external_reference_id="rma-1").data
    large = refund(api, other, amount_money=wire(eur(5_000))).data

    def listed(**query):
        return [row["refund_id"] for row in api.get("/v1/refunds", query).data]

    assert listed() == [large["refund_id"], small["refund_id"]]
    assert listed(order_id=cart.id) == [small["refund_id"]]
    assert listed(payment_intent_id=other.payment_intents.get().id) == [large["refund_id"]]
    assert listed(reason="duplicate") == listed(external_reference_id="rma-1") == [small["refund_id"]]
    assert listed(status="succeeded") == [large["refund_id"], small["refund_id"]]
    assert listed(status="failed") == []


@pytest.mark.processors("sandbox", "stripe")
def test_a_refund_on_one_tender_takes_at_most_thirty_one_statements_with_its_task(api, environment):
    order = stories.paid_order(environment, *[line(100, name=f"Line {n}") for n in range(40)])
    refund(api, order, amount_money=wire(eur(1_000)))

    with CaptureQueriesContext(connection) as captured:
        refund(api, order, key="counted")

    statements = [query["sql"] for query in captured.captured_queries]
    own = [sql for sql in statements if "sandbox_" not in sql and not re.match(r"SAVEPOINT|RELEASE", sql)]
    assert len(own) <= 31
    assert_books(order, refunded=4_000, refund_status="refunded")
    assert charged(order) == [4_000]
