"""Canceling payment intents: at the processor first, then here; and what money says outranks a cancellation."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import network_of
from flint.testing.stories import deliver_notices, time_passes
from orders.collecting import OrderPaymentAttemptActive
from orders.services import close_order
from payments.models import PaymentIntent, PaymentOperation
from payments.tests.acts import (
    DEBIT,
    DECLINED,
    THREE_D_SECURE,
    at_processor,
    attempt_of,
    attempts_of,
    authenticate,
    cancel,
    cancel_attempt,
    capture,
    charged,
    confirm,
    goes_through_after_all,
    going_wrong,
    hold,
    kinds_of,
    later,
    nothing_moves,
    pay,
    stage,
)

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")


def test_a_staged_payment_intent_is_canceled_here_alone(api, environment):
    order = stories.open_order(environment)
    leg = stage(api, order)

    canceled = cancel(api, order, leg)

    intent = canceled.data["payment_intent"]
    assert (intent["status"], intent["cancellation_reason"]) == ("canceled", "requested_by_customer")
    assert at_processor(order) == []
    assert_books(order, paid=0, outstanding=10_000)
    pay(api, order)
    assert_books(order, paid=10_000)


def test_a_hold_is_released_at_the_processor(api, environment):
    order = stories.open_order(environment)
    leg, attempt = hold(api, order)

    canceled = cancel(api, order, leg, attempt)

    assert canceled.data["payment_intent"]["status"] == "canceled"
    assert canceled.data["payment_attempt"]["status"] == "canceled"
    assert canceled.data["payment_attempt"]["failure_code"] == "payment_authorization_canceled"
    assert [effect.kind for effect in at_processor(order)] == ["authorization", "release"]
    assert kinds_of(order)[-1] == "payment.authorization_canceled"
    assert_books(order, paid=0, outstanding=10_000, active_attempt_id="")


def test_one_that_waits_for_its_buyer_is_given_up(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)

    canceled = cancel(api, order, order.payment_intents.get().id, attempt_of(asked))

    assert canceled.data["payment_attempt"]["status"] == "canceled"
    assert_books(order, paid=0, active_attempt_id="")
    pay(api, order)
    assert charged(order) == [10_000]


def test_one_under_way_cannot_be_stopped(api, environment):
    order = stories.open_order(environment, currency="USD")
    attempt = attempt_of(pay(api, order, DEBIT))
    leg = order.payment_intents.get().id

    with nothing_moves(order):
        assert cancel(api, order, leg, attempt).code == "PAYMENT_ATTEMPT_STILL_PROCESSING"
        assert cancel_attempt(api, order, attempt).code == "PAYMENT_ATTEMPT_STILL_PROCESSING"

    time_passes(environment, later(minutes=1))
    assert_books(order, paid=10_000)


@pytest.mark.processors("sandbox", "stripe")
def test_one_whose_answer_was_lost_cannot_be_stopped_either(api, environment):
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        attempt = attempt_of(pay(api, order))

    with nothing_moves(order):
        assert cancel_attempt(api, order, attempt).code == "PAYMENT_ATTEMPT_STILL_PROCESSING"


def test_ended_ones_are_refused_by_how_they_ended(api, environment):
    settled, canceled, expired = (stories.open_order(environment) for _ in range(3))
    pay(api, settled)
    staged = stage(api, canceled)
    cancel(api, canceled, staged)
    lapsed, _ = hold(api, expired)
    time_passes(environment, later(days=8))
    leg = settled.payment_intents.get().id

    with nothing_moves(settled, canceled, expired):
        assert cancel(api, settled, leg).code == "ORDER_PAYMENT_LEG_ALREADY_SETTLED"
        assert cancel(api, canceled, staged).code == "PAYMENT_ALREADY_CANCELED"
        assert cancel(api, expired, lapsed).code == "CANNOT_CANCEL_EXPIRED_PAYMENT"


def test_the_attempt_is_named_and_is_the_right_one(api, other_api, environment):
    order, other = stories.open_order(environment), stories.open_order(environment)
    leg, attempt = hold(api, order)
    _, elsewhere = hold(api, other)

    with nothing_moves(order, other):
        assert cancel(api, order, leg).code == "PAYMENT_ATTEMPT_ID_REQUIRED"
        assert cancel(api, order, leg, elsewhere).code == "PAYMENT_ATTEMPT_MISMATCH"
        assert cancel(api, other, leg, elsewhere).code == "PAYMENT_INTENT_NOT_FOUND"
        assert cancel(other_api, order, leg, attempt).code == "ORDER_NOT_FOUND"


def test_a_cancel_that_never_got_through_may_be_tried_again(api, environment):
    order = stories.open_order(environment)
    leg, attempt = hold(api, order)

    with going_wrong(order, on="cancel", fault="unreachable"):
        refused = cancel(api, order, leg, attempt)
    assert (refused.status_code, refused.code) == (503, "PAYMENT_PROCESSOR_UNAVAILABLE")
    assert_books(order, active_attempt_id=attempt)

    cancel(api, order, leg, attempt)
    assert_books(order, paid=0, active_attempt_id="")


def test_the_same_key_tries_again_what_never_got_through(api, environment):
    taken, let_go = stories.open_order(environment), stories.open_order(environment)
    taken_hold, let_go_hold = hold(api, taken), hold(api, let_go)
    with network_of(environment).out_of_order():
        assert capture(api, taken, *taken_hold, 6_000, key="take").status_code == 503
        assert cancel(api, let_go, *let_go_hold, key="let go").status_code == 503

    capture(api, taken, *taken_hold, 6_000, key="take")
    cancel(api, let_go, *let_go_hold, key="let go")

    assert charged(taken) == [6_000]
    assert_books(taken, paid=6_000, outstanding=4_000, active_attempt_id="")
    assert [effect.kind for effect in at_processor(let_go)] == ["authorization", "release"]
    assert_books(let_go, paid=0, active_attempt_id="")


def test_a_cancel_that_the_processor_refuses_leaves_the_hold(api, environment):
    order = stories.open_order(environment)
    leg, attempt = hold(api, order)

    with going_wrong(order, on="cancel", fault="refuse", code="invalid_state"):
        assert cancel(api, order, leg, attempt).code == "PAYMENT_INTENT_NOT_CANCELABLE"

    assert PaymentIntent.objects.get(id=leg).status == "requires_capture"
    assert_books(order, active_attempt_id=attempt)


def test_d107_the_cancel_of_a_hold_is_one_release_and_no_refund_and_its_echo_changes_nothing(api, environment):
    order = stories.open_order(environment, total=3_800)
    leg, attempt = hold(api, order)
    cancel(api, order, leg, attempt)

    with nothing_moves(order):
        deliver_notices(environment)

    assert [effect.kind for effect in at_processor(order)] == ["authorization", "release"]
    assert_books(order, paid=0, refunded=0, outstanding=3_800)


def test_a_buyer_who_passed_before_the_cancel_has_paid(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)
    authenticate(api, asked)

    refused = cancel_attempt(api, order, attempt_of(asked))

    assert (refused.status_code, refused.code) == (409, "PAYMENT_ATTEMPT_NOT_CANCELABLE")
    assert refused.error["payment_attempt_status"] == "succeeded"
    assert_books(order, paid=10_000, payment_status="paid", active_attempt_id="")


def test_a_leg_whose_buyer_passed_before_the_cancel_is_settled(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)
    authenticate(api, asked)

    refused = cancel(api, order, order.payment_intents.get().id, attempt_of(asked))

    assert refused.code == "ORDER_PAYMENT_LEG_ALREADY_SETTLED"
    assert_books(order, paid=10_000, payment_status="paid")


class TestAttempts:
    """Canceling an attempt cancels all of it that can be."""

    def test_ended_attempts_are_refused(self, api, environment):
        failed, paid = stories.open_order(environment), stories.open_order(environment)
        declined, settled = attempt_of(pay(api, failed, DECLINED)), attempt_of(pay(api, paid))

        with nothing_moves(failed, paid):
            for order, attempt, status in ((failed, declined, "failed"), (paid, settled, "succeeded")):
                refused = cancel_attempt(api, order, attempt)
                assert refused.code == "PAYMENT_ATTEMPT_NOT_CANCELABLE"
                assert refused.error["payment_attempt_status"] == status

    def test_a_split_with_a_leg_under_way_is_left_whole(self, api, environment):
        order = stories.open_order(environment, currency="USD")
        legs = (stage(api, order, 6_000), THREE_D_SECURE), (stage(api, order, 4_000), DEBIT)
        attempt = attempt_of(confirm(api, order, *legs))

        with nothing_moves(order):
            assert cancel_attempt(api, order, attempt).code == "PAYMENT_ATTEMPT_STILL_PROCESSING"

    def test_an_unreachable_processor_does_not_keep_the_other_legs_from_being_canceled(self, api, environment):
        order = stories.open_order(environment)
        legs = [(stage(api, order, 5_000), THREE_D_SECURE) for _ in range(2)]
        attempt = attempt_of(confirm(api, order, *legs))

        with going_wrong(order, on="cancel", fault="unreachable", times=1):
            assert cancel_attempt(api, order, attempt).status_code == 503

        statuses = PaymentIntent.objects.filter(order=order).values_list("status", flat=True)
        assert sorted(statuses) == ["canceled", "requires_action"]
        assert not PaymentOperation.objects.filter(answered_at__isnull=True).exists()
        assert cancel_attempt(api, order, attempt).data["payment_attempt"]["status"] == "canceled"
        assert_books(order, paid=0, active_attempt_id="")

    def test_the_same_key_cancels_the_legs_that_were_not_reached_and_no_other_again(self, api, environment):
        order = stories.open_order(environment)
        legs = [(stage(api, order, 5_000), THREE_D_SECURE) for _ in range(2)]
        attempt = attempt_of(confirm(api, order, *legs))
        with going_wrong(order, on="cancel", fault="unreachable", times=1):
            assert cancel_attempt(api, order, attempt, key="stop").status_code == 503

        assert cancel_attempt(api, order, attempt, key="stop").data["payment_attempt"]["status"] == "canceled"

        assert PaymentOperation.objects.filter(kind="cancel", result="canceled").count() == 2
        assert_books(order, paid=0, active_attempt_id="")

    @pytest.mark.processors("sandbox", "stripe")
    def test_the_same_key_cancels_once(self, api, environment):
        order = stories.open_order(environment)
        _, attempt = hold(api, order)

        first = cancel_attempt(api, order, attempt, key="stop")
        with nothing_moves(order):
            assert cancel_attempt(api, order, attempt, key="stop").data == first.data


class TestMoneyThatComesAfterAll:
    """Money is booked whatever was believed before."""

    def test_d037_a_declined_payment_that_later_succeeds_is_booked(self, api, environment):
        order = stories.open_order(environment, total=3_100)
        pay(api, order, DECLINED)

        goes_through_after_all(order)
        deliver_notices(environment)

        assert_books(order, paid=3_100, balance=0, payment_status="paid")
        assert (attempts_of(order), charged(order)) == (["succeeded"], [3_100])

    def test_d100_money_for_a_closed_order_is_booked_and_shown_as_too_much(self, api, environment):
        order = stories.open_order(environment, total=6_600)
        pay(api, order, DECLINED)
        close_order(order_id=order.id, actor=stories.actor_in(environment))
        assert_books(order, credit=6_600, balance=0, status="closed")

        goes_through_after_all(order)
        deliver_notices(environment)

        assert_books(order, paid=6_600, credit=6_600, balance=-6_600, outstanding=0, status="closed")
        assert order.events.order_by("-sequence")[0].data["surplus_amount"] == 6_600
        stories.refund(order)
        assert_books(order, paid=6_600, refunded=6_600, credit=6_600, balance=0)

    def test_d082_money_for_a_paid_order_is_booked_and_given_back_without_touching_the_sale(self, api, environment):
        order = stories.open_order(environment, total=4_000)
        pay(api, order, DECLINED)
        pay(api, order)

        goes_through_after_all(order)
        deliver_notices(environment)
        assert_books(order, paid=8_000, balance=-4_000, payment_status="paid")

        stories.refund(order, amount_money=stories.eur(4_000))
        assert_books(order, total=4_000, credit=0, paid=8_000, refunded=4_000, balance=0, payment_status="paid")
        assert order.line_items.get().refunded_amount == 0

    def test_d101_money_that_crosses_an_unanswered_cancel_is_booked_once_and_given_back_once(self, api, environment):
        order, actor = stories.open_order(environment, total=4_700), stories.actor_in(environment)
        asked = pay(api, order, THREE_D_SECURE)
        with going_wrong(order, on="cancel", fault="never_executed"):
            assert cancel_attempt(api, order, attempt_of(asked)).code == "PAYMENT_ATTEMPT_STILL_PROCESSING"
        with nothing_moves(order), pytest.raises(OrderPaymentAttemptActive):
            close_order(order_id=order.id, actor=actor)

        authenticate(api, asked)
        with going_wrong(order, on="notice", fault="duplicate", times=None):
            deliver_notices(environment)
        assert_books(order, paid=4_700, balance=0, active_attempt_id="")
        stories.refund(order)
        close_order(order_id=order.id, actor=actor)

        assert_books(order, status="closed", paid=4_700, refunded=4_700, credit=4_700, balance=0)
        assert [effect.kind for effect in at_processor(order)] == ["charge", "refund"]

    def test_d102_what_is_given_back_is_what_is_left_and_not_the_total(self, api, environment):
        order = stories.open_order(environment, total=9_000)
        leg, attempt = hold(api, order)
        capture(api, order, leg, attempt, 6_000)
        stories.refund(order, amount_money=stories.eur(1_500))
        close_order(order_id=order.id, actor=stories.actor_in(environment))

        stories.refund(order)

        assert_books(order, total=9_000, credit=9_000, paid=6_000, refunded=6_000, balance=0)
        assert [effect.amount for effect in at_processor(order).refunds] == [1_500, 4_500]


class TestStrayHolds:
    """A hold for a try that was given up is let go; nobody waits for it."""

    @pytest.fixture
    def stray(self, api, environment):
        """An order whose declined payment turned into a hold at the processor."""
        order = stories.open_order(environment)
        leg = stage(api, order, capture_method="manual")
        confirm(api, order, (leg, DECLINED))
        goes_through_after_all(order)
        return order, leg

    @pytest.mark.processors("sandbox", "stripe")
    def test_a_notice_of_it_has_it_released(self, environment, stray):
        order, leg = stray

        deliver_notices(environment)

        assert [effect.kind for effect in at_processor(order)] == ["authorization", "release"]
        assert PaymentIntent.objects.get(id=leg).status == "requires_payment_method"
        assert attempts_of(order) == ["failed"]
        assert_books(order, paid=0, outstanding=10_000, active_attempt_id="")

    def test_a_release_that_got_lost_is_made_up_for_by_the_sweep(self, environment, stray):
        order, leg = stray
        with going_wrong(order, on="cancel", fault="never_executed"):
            deliver_notices(environment)
        assert [effect.kind for effect in at_processor(order)] == ["authorization"]

        time_passes(environment, later(minutes=11))

        assert [effect.kind for effect in at_processor(order)] == ["authorization", "release"]
        assert_books(order, paid=0, outstanding=10_000)

    def test_it_does_not_get_in_the_way_of_the_next_try(self, api, environment, stray):
        order, leg = stray
        attempt = attempt_of(confirm(api, order, leg))

        deliver_notices(environment)
        assert attempts_of(order) == ["failed", "requires_capture"]
        capture(api, order, leg, attempt)

        time_passes(environment, later(minutes=1))
        assert_books(order, paid=10_000, payment_status="paid")
        assert (charged(order), len(at_processor(order).of_kind("release"))) == ([10_000], 1)
