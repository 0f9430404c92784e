"""Capturing a hold: once, at most what is held, and what is not taken is let go."""

import pytest

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import network_of
from flint.testing.stories import deliver_notices, eur, time_passes, wire
from orders.collecting import OrderPaymentAttemptActive
from orders.services import add_charge
from payments import services
from payments.models import PaymentIntent
from payments.services.closing import PaymentAuthorizationExpired
from payments.tests.acts import (
    at_processor,
    attempts_of,
    capture,
    charged,
    going_wrong,
    hold,
    kinds_of,
    later,
    nothing_moves,
    pay,
    reference_of,
    stage,
)

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")


@pytest.fixture
def held(api, environment):
    """An order of 100 euros, its whole amount held: the order, the payment intent, the attempt."""
    order = stories.open_order(environment)
    return order, *hold(api, order)


def released(order) -> list[int]:
    return [effect.amount for effect in at_processor(order).of_kind("release")]


def test_a_hold_is_no_payment(api, held):
    order, leg, attempt = held

    shown = api.get(f"/v1/orders/{order.id}").data

    assert shown["payment_status"] == "unpaid"
    amounts = shown["authorization_amounts"]
    assert (amounts["authorized_money"], amounts["capturable_money"]) == (wire(eur(10_000)), wire(eur(10_000)))
    assert_books(order, paid=0, outstanding=10_000, active_attempt_id=attempt)
    assert charged(order) == []


def test_a_full_capture_pays_the_order(api, held):
    order, leg, attempt = held

    captured = capture(api, order, leg, attempt)

    assert captured.data["payment_intent"]["status"] == "succeeded"
    assert captured.data["payment_attempt"]["status"] == "succeeded"
    assert captured.data["order"]["payment_status"] == "paid"
    assert_books(order, paid=10_000, payment_status="paid", active_attempt_id="")
    assert (charged(order), released(order)) == ([10_000], [])


def test_d047_a_part_capture_lets_the_rest_go_and_leaves_the_rest_owed(api, held):
    order, leg, attempt = held

    captured = capture(api, order, leg, attempt, 6_000)

    intent = captured.data["payment_intent"]
    assert (intent["captured_money"], intent["released_money"]) == (wire(eur(6_000)), wire(eur(4_000)))
    assert "capturable_money" not in intent or intent["capturable_money"] is None
    assert_books(order, paid=6_000, outstanding=4_000, payment_status="partially_paid", active_attempt_id="")
    assert (charged(order), released(order)) == ([6_000], [4_000])

    pay(api, order)
    assert_books(order, paid=10_000, payment_status="paid")


def test_d044_an_order_that_grows_beside_its_hold_owes_the_difference(api, environment):
    order, actor = stories.open_order(environment, total=5_000), stories.actor_in(environment)
    delivery = {"name": "Delivery", "type": "delivery_fee", "amount_money": eur(700)}
    leg, attempt = hold(api, order)

    with nothing_moves(order), pytest.raises(OrderPaymentAttemptActive):
        add_charge(order_id=order.id, charge=delivery, actor=actor)
    capture(api, order, leg, attempt)
    add_charge(order_id=order.id, charge=delivery, actor=actor)
    assert_books(order, total=5_700, paid=5_000, outstanding=700, payment_status="partially_paid")

    pay(api, order)
    assert_books(order, paid=5_700, balance=0, payment_status="paid")
    assert charged(order) == [5_000, 700]


def test_a_second_capture_is_refused(api, held):
    order, leg, attempt = held
    capture(api, order, leg, attempt, 6_000)

    with nothing_moves(order):
        again = capture(api, order, leg, attempt, 4_000)

    assert (again.status_code, again.code) == (409, "INVALID_STATUS_FOR_CAPTURE")


def test_amounts_that_do_not_fit_are_refused(api, held):
    order, leg, attempt = held
    route = f"/v1/orders/{order.id}/payment-intents/{leg}/capture"
    dollars = {"order_payment_attempt_id": attempt, "amount_money": {"amount": 1, "currency": "USD"}}

    with nothing_moves(order):
        too_much = capture(api, order, leg, attempt, 10_001)
        assert too_much.code == "CAPTURE_AMOUNT_EXCEEDS_CAPTURABLE"
        assert too_much.error["capturable_money"] == wire(eur(10_000))
        assert capture(api, order, leg, attempt, 0).code == "INVALID_CAPTURE_AMOUNT"
        assert api.post(route, dollars).code == "CAPTURE_CURRENCY_MISMATCH"


def test_the_attempt_is_named_and_is_the_right_one(api, environment, held):
    order, leg, _ = held
    other = stories.open_order(environment)
    _, elsewhere = hold(api, other)

    with nothing_moves(order, other):
        assert capture(api, order, leg).code == "PAYMENT_ATTEMPT_ID_REQUIRED"
        assert capture(api, order, leg, elsewhere).code == "PAYMENT_ATTEMPT_MISMATCH"


def test_what_is_not_held_cannot_be_captured(api, environment):
    order, other = stories.open_order(environment), stories.open_order(environment)
    staged, elsewhere = stage(api, order), stage(api, other)

    with nothing_moves(order):
        assert capture(api, order, staged).code == "INVALID_STATUS_FOR_CAPTURE"
        assert capture(api, order, elsewhere).code == "PAYMENT_INTENT_NOT_FOUND"


def test_a_stranger_finds_nothing_to_capture(other_api, held):
    order, leg, attempt = held

    with nothing_moves(order):
        assert capture(other_api, order, leg, attempt).code == "ORDER_NOT_FOUND"


def test_the_same_key_captures_once(api, held):
    order, leg, attempt = held

    first = capture(api, order, leg, attempt, 6_000, key="once")
    with nothing_moves(order):
        again = capture(api, order, leg, attempt, 6_000, key="once")

    assert again.data == first.data
    assert charged(order) == [6_000]


def test_d051_a_hold_that_ran_out_is_found_out_by_the_capture(api, environment):
    order = stories.open_order(environment, total=7_500)
    leg, attempt = hold(api, order)
    the_hold_lapses_silently(order)

    refused = capture(api, order, leg, attempt)

    assert (refused.status_code, refused.code) == (409, "PAYMENT_AUTHORIZATION_EXPIRED")
    assert attempts_of(order) == ["expired"]
    assert_books(order, paid=0, outstanding=7_500, payment_status="unpaid", active_attempt_id="")
    assert charged(order) == []
    pay(api, order)
    assert_books(order, paid=7_500)


def test_d051_a_capture_after_the_expiry_asks_and_never_takes(environment, held):
    order, leg, attempt = held
    the_hold_lapses_silently(order)

    with pytest.raises(PaymentAuthorizationExpired):
        services.capture(
            order_id=order.id,
            payment_intent_id=leg,
            data={"order_payment_attempt_id": attempt},
            actor=stories.actor_in(environment),
            at=later(days=8),
        )

    assert attempts_of(order) == ["expired"]
    assert_books(order, paid=0, active_attempt_id="")


def test_a_hold_that_ran_out_ends_by_itself(environment, held):
    order, leg, _ = held

    time_passes(environment, later(days=8))

    intent = PaymentIntent.objects.get(id=leg)
    assert (intent.status, intent.released_amount, attempts_of(order)) == ("expired", 10_000, ["expired"])
    assert_books(order, paid=0, outstanding=10_000, payment_status="unpaid", active_attempt_id="")
    assert kinds_of(order)[-1] == "payment.authorization_expired"


def test_d045_a_part_captured_in_the_dashboard_is_booked_as_it_came(api, environment):
    order = stories.open_order(environment, total=2_000)
    leg, attempt = hold(api, order)

    network_of(environment).capture(reference_of(order), eur(500))
    deliver_notices(environment)

    assert_books(order, total=2_000, paid=500, outstanding=1_500, payment_status="partially_paid")
    with nothing_moves(order):
        assert capture(api, order, leg, attempt).code == "INVALID_STATUS_FOR_CAPTURE"
    assert released(order) == [1_500]


def test_d046_a_capture_of_what_was_captured_elsewhere_books_it(api, environment, held):
    order, leg, attempt = held
    with going_wrong(order, on="notice", fault="drop", times=None):
        network_of(environment).capture(reference_of(order), eur(10_000))
        deliver_notices(environment)

    captured = capture(api, order, leg, attempt)
    assert (captured.status_code, captured.data["payment_intent"]["status"]) == (200, "succeeded")

    stories.refund(order, amount_money=eur(3_000))
    assert_books(order, paid=10_000, refunded=3_000, credit=3_000, balance=0, refund_status="partially_refunded")
    assert charged(order) == [10_000]


def test_a_capture_that_the_processor_refuses_leaves_the_hold(api, held):
    order, leg, attempt = held

    with going_wrong(order, on="capture", fault="refuse", code="invalid_state"):
        refused = capture(api, order, leg, attempt)

    assert refused.code == "PAYMENT_AUTHORIZATION_NOT_CAPTURABLE"
    assert_books(order, paid=0, active_attempt_id=attempt)
    capture(api, order, leg, attempt)
    assert_books(order, paid=10_000)
    assert charged(order) == [10_000]


def test_a_capture_that_never_got_through_may_be_tried_again(api, held):
    order, leg, attempt = held

    with going_wrong(order, on="capture", fault="unreachable"):
        refused = capture(api, order, leg, attempt)

    assert (refused.status_code, refused.code) == (503, "PAYMENT_PROCESSOR_UNAVAILABLE")
    assert_books(order, paid=0, active_attempt_id=attempt)
    capture(api, order, leg, attempt)
    assert_books(order, paid=10_000)


def the_hold_lapses_silently(order) -> None:
    """Let the hold run out at the processor, and no notice of it arrive."""
    with going_wrong(order, on="notice", fault="drop", times=None), collecting():
        network_of(order.environment_id).advance(later(days=8))
        deliver_notices(order.environment, at=later(days=8))
