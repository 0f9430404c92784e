"""Orders edited around their payments: what was paid stays paid, and only the difference is ever asked for."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, eur, line, wire
from orders import services as orders
from orders.services.pricing import OrderTotalBelowNetCollected
from payments.tests.acts import (
    DECLINED,
    at_processor,
    charged,
    confirm,
    goes_through_after_all,
    nothing_moves,
    pay,
    stage,
)

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")


def test_d118_adding_a_line_and_taking_it_off_again_moves_no_money(api, environment):
    order, actor = stories.paid_order(environment), actor_in(environment)

    orders.add_line_items(order_id=order.id, line_items=[line(3_000)], actor=actor)
    assert_books(order, total=13_000, paid=10_000, outstanding=3_000, payment_status="partially_paid")
    added = order.line_items.order_by("-position")[0]
    orders.remove_line_item(order_id=order.id, line_item_id=added.id, actor=actor)

    assert_books(order, total=10_000, paid=10_000, refunded=0, balance=0, payment_status="paid")
    assert [effect.kind for effect in at_processor(order)] == ["charge"]


def test_d122_after_an_edit_only_the_difference_is_collected(api, environment):
    order = stories.paid_order(environment)
    orders.add_line_items(order_id=order.id, line_items=[line(1_500)], actor=actor_in(environment))

    shown = api.get(f"/v1/orders/{order.id}").data
    assert shown["payment_collection"]["stripe"]["elements"]["amount_money"] == wire(eur(1_500))
    pay(api, order, expected_outstanding_money=wire(eur(1_500)))

    assert_books(order, total=11_500, paid=11_500, balance=0, payment_status="paid")
    assert charged(order) == [10_000, 1_500]


def test_d026_after_a_decline_and_a_lower_price_the_lower_price_is_charged(api, environment):
    order, actor = stories.open_order(environment, total=5_500), actor_in(environment)
    pay(api, order, DECLINED)
    price = {"unit_price_money": eur(4_000)}
    orders.update_line_item(order_id=order.id, line_item_id=order.line_items.get().id, data=price, actor=actor)

    pay(api, order)

    assert_books(order, total=4_000, paid=4_000, balance=0)
    assert charged(order) == [4_000]


def test_d121_a_leg_staged_at_the_old_price_cannot_overcharge(api, environment):
    order, actor = stories.open_order(environment, total=600), actor_in(environment)
    leg = stage(api, order)
    price = {"unit_price_money": eur(597)}
    orders.update_line_item(order_id=order.id, line_item_id=order.line_items.get().id, data=price, actor=actor)

    with nothing_moves(order):
        refused = confirm(api, order, leg)

    assert refused.code == "ORDER_CHANGED_REFRESH_REQUIRED"
    assert refused.error["current_money"] == wire(eur(597))
    assert_books(order, total=597, paid=0)


def test_the_total_never_falls_below_what_was_collected_and_kept(api, environment):
    order, actor = stories.open_order(environment, total=4_000), actor_in(environment)
    pay(api, order, DECLINED)
    pay(api, order)
    goes_through_after_all(order)
    stories.deliver_notices(environment)
    orders.add_line_items(order_id=order.id, line_items=[line(3_000)], actor=actor)
    assert_books(order, total=7_000, paid=8_000, balance=-1_000)
    added = order.line_items.order_by("-position")[0]

    with nothing_moves(order), pytest.raises(OrderTotalBelowNetCollected) as refusal:
        orders.remove_line_item(order_id=order.id, line_item_id=added.id, actor=actor)

    assert refusal.value.facts == {"submitted_money": eur(4_000), "required_money": eur(8_000)}


def test_what_is_not_paid_yet_is_taken_off_by_an_edit_and_not_by_a_refund(api, environment):
    order, actor = stories.paid_order(environment), actor_in(environment)
    charge = {"name": "Delivery", "type": "delivery_fee", "amount_money": eur(500)}
    orders.add_line_items(order_id=order.id, line_items=[line(3_000)], actor=actor)
    orders.add_charge(order_id=order.id, charge=charge, actor=actor)
    added, fee = order.line_items.order_by("-position")[0], order.charges.get()

    with nothing_moves(order):
        of_line = {"order_id": order.id, "line_items": [{"order_line_item_id": added.id}]}
        assert api.post("/v1/refunds", of_line).code == "NOTHING_TO_REFUND_FOR_LINE_ITEM"
        of_charge = {"order_id": order.id, "charges": [{"order_charge_id": fee.id}]}
        assert api.post("/v1/refunds", of_charge).code == "NOTHING_TO_REFUND_FOR_CHARGE"

    stories.refund(order, amount_money=eur(9_000))
    added.refresh_from_db()
    assert added.refunded_amount == 0
    assert_books(order, total=13_500, paid=10_000, refunded=9_000, credit=9_000, outstanding=3_500)
    orders.remove_line_item(order_id=order.id, line_item_id=added.id, actor=actor)
    assert_books(order, total=10_500, outstanding=500)


def test_closing_a_partly_paid_order_writes_the_rest_off(api, environment):
    order = stories.open_order(environment)
    confirm(api, order, stage(api, order, 4_000), completion_behavior="partial_payment")

    orders.close_order(order_id=order.id, reason="Gave up", actor=actor_in(environment))

    assert_books(order, status="closed", total=10_000, paid=4_000, credit=6_000, balance=0, payment_status="paid")
    with nothing_moves(order):
        assert pay(api, order).code == "ORDER_CLOSED"
    stories.refund(order)
    assert_books(order, paid=4_000, refunded=4_000, credit=10_000, balance=0, refund_status="refunded")
