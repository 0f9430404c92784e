"""An answer that is lost is no failure: nothing is repeated, the processor is asked, and money moves once."""

import pytest

from flint.actors import Command
from flint.errors import FlintError
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, deliver_notices, eur, sweep, wire
from payments import services
from payments.models import PaymentIntent, PaymentOperation
from payments.processors import processor_of
from payments.processors.base import PaymentRequest
from payments.services.closing import PaymentOperationInProgress
from payments.services.starting import Started, start_payment
from payments.tests.acts import (
    at_processor,
    attempt_of,
    attempts_of,
    cancel,
    cancel_attempt,
    capture,
    charged,
    confirm,
    going_wrong,
    hold,
    later,
    nothing_moves,
    pay,
    stage,
)

pytestmark = pytest.mark.processors("sandbox", "stripe")

BODY = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}


@pytest.fixture
def order(environment):
    return stories.open_order(environment, total=12_000)


class TestPaying:
    """The processor took the money, or it did not; only asking tells."""

    def test_d030_a_lost_answer_leaves_the_attempt_under_way_and_the_sweep_settles_it(self, api, order):
        with going_wrong(order, on="confirm", fault="lose_answer"):
            lost = pay(api, order)

        assert lost.status_code == 200
        assert lost.data["payment_attempt"]["status"] == "processing"
        assert_books(order, paid=0, outstanding=12_000, payment_status="unpaid", processor=False)

        sweep(at=later(minutes=1))

        assert_books(order, paid=12_000, balance=0, payment_status="paid", active_attempt_id="")
        assert (attempts_of(order), charged(order)) == (["succeeded"], [12_000])

    def test_a_second_pay_is_refused_with_the_attempt_while_the_processor_is_silent(self, api, order):
        with going_wrong(order, on="confirm", fault="never_executed"):
            lost = pay(api, order)

        with nothing_moves(order):
            refused = pay(api, order)

        assert (refused.status_code, refused.code) == (409, "ORDER_PAYMENT_ATTEMPT_ACTIVE")
        assert refused.error["order_payment_attempt_id"] == attempt_of(lost)
        assert refused.error["is_resumable"] is True

    def test_a_second_pay_settles_the_first_if_the_processor_knows_of_it(self, api, order):
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)

        assert pay(api, order).code == "ORDER_ALREADY_PAID"

        assert_books(order, paid=12_000, payment_status="paid")
        assert (attempts_of(order), charged(order)) == (["succeeded"], [12_000])

    def test_a_refund_of_money_that_is_not_known_to_be_here_is_refused(self, api, order):
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)

        with nothing_moves(order):
            assert api.post("/v1/refunds", {"order_id": order.id}).code == "NO_PAYMENTS_FOR_ORDER"

        sweep(at=later(minutes=1))
        stories.refund(order)
        assert_books(order, paid=12_000, refunded=12_000, credit=12_000, balance=0)

    def test_d030_one_that_never_arrived_is_given_up_after_its_deadline_and_a_new_one_is_allowed(self, api, order):
        with going_wrong(order, on="confirm", fault="never_executed"):
            pay(api, order)
        with nothing_moves(order):
            sweep(at=later(minutes=9))
        assert (attempts_of(order), charged(order)) == (["processing"], [])

        sweep(at=later(minutes=30))

        assert attempts_of(order) == ["failed"]
        assert order.payment_attempts.get().failure_code == "payment_confirm_outcome_unknown"
        assert_books(order, paid=0, outstanding=12_000, active_attempt_id="")
        pay(api, order)
        assert_books(order, paid=12_000, payment_status="paid")
        assert charged(order) == [12_000]

    def test_one_that_arrives_after_it_was_given_up_is_booked_all_the_same(self, api, environment, order):
        started = start_payment(order_id=order.id, data=BODY, actor=actor_in(environment))
        sweep(at=later(minutes=11))
        assert attempts_of(order) == ["failed"]
        pay(api, order)

        call_processor(started)
        deliver_notices(environment)

        assert_books(order, paid=24_000, balance=-12_000, payment_status="paid")
        assert attempts_of(order) == ["succeeded", "succeeded"]

    def test_a_processor_out_of_reach_is_a_failed_attempt_and_the_next_may_follow_at_once(self, api, order):
        with going_wrong(order, on="confirm", fault="unreachable"):
            failed = pay(api, order)

        attempt = failed.data["payment_attempt"]
        assert (attempt["status"], attempt["failure_code"]) == ("failed", "payment_method_temporarily_unavailable")
        assert_books(order, paid=0, active_attempt_id="")
        pay(api, order)
        assert (attempts_of(order), charged(order)) == (["failed", "succeeded"], [12_000])

    def test_a_slow_answer_is_an_answer(self, api, order):
        with going_wrong(order, on="confirm", fault="delay", seconds=0.01):
            assert pay(api, order).data["payment_attempt"]["status"] == "succeeded"

        assert_books(order, paid=12_000)

    def test_one_lost_leg_of_a_split_does_not_undo_the_other(self, api, order):
        legs = stage(api, order, 8_000), stage(api, order, 4_000)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            confirm(api, order, *legs)
        assert_books(order, paid=4_000, payment_status="partially_paid", processor=False)

        sweep(at=later(minutes=1))

        assert_books(order, paid=12_000, payment_status="paid", active_attempt_id="")
        assert charged(order) == [8_000, 4_000]

    def test_d031_what_the_sweep_learns_moves_attempt_order_and_ledger_together_and_once(self, api, order):
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)

        sweep(at=later(minutes=1))
        with nothing_moves(order):
            sweep(at=later(hours=2))
            deliver_notices(order.environment)

        assert [entry.kind for entry in order.entries.order_by("sequence")] == ["sale_goods", "capture"]


class TestKilledWorkers:
    """A worker may die between any two steps; what it wrote down is found and finished."""

    def test_d032_after_the_processor_said_yes_the_notice_finds_the_attempt(self, environment, order):
        call_processor(start_payment(order_id=order.id, data=BODY, actor=actor_in(environment)))
        assert_books(order, paid=0, processor=False)

        deliver_notices(environment)

        assert_books(order, paid=12_000, payment_status="paid", active_attempt_id="")
        assert charged(order) == [12_000]

    def test_after_the_processor_said_yes_the_sweep_finds_it_too(self, environment, order):
        call_processor(start_payment(order_id=order.id, data=BODY, actor=actor_in(environment)))

        sweep(at=later(minutes=1))

        assert_books(order, paid=12_000, payment_status="paid", active_attempt_id="")

    def test_d032_the_same_command_run_again_goes_on_with_the_first_attempt(self, environment, order):
        actor = actor_in(environment).with_command(Command(key="one wish", digest="its digest"))
        started = start_payment(order_id=order.id, data=BODY, actor=actor)
        call_processor(started)

        paid = services.pay(order_id=order.id, data=BODY, actor=actor)

        assert (paid.attempt.id, paid.attempt.status) == (started.attempt.id, "succeeded")
        assert_books(order, paid=12_000)
        assert charged(order) == [12_000]

    def test_before_the_call_the_command_run_again_waits_and_never_calls_twice(self, environment, order):
        actor = actor_in(environment).with_command(Command(key="one wish", digest="its digest"))
        started = start_payment(order_id=order.id, data=BODY, actor=actor)

        paid = services.pay(order_id=order.id, data=BODY, actor=actor)

        assert (paid.attempt.id, paid.attempt.status, charged(order)) == (started.attempt.id, "processing", [])
        sweep(at=later(minutes=11))
        assert attempts_of(order) == ["failed"]
        assert_books(order, paid=0, active_attempt_id="")

    def test_the_key_of_one_payment_is_no_key_for_another(self, environment, order):
        actor = actor_in(environment)
        start_payment(order_id=order.id, data=BODY, actor=actor.with_command(Command("one wish", "its digest")))

        with nothing_moves(order), pytest.raises(FlintError, match="IDEMPOTENCY_KEY_REUSED"):
            services.pay(order_id=order.id, data=BODY, actor=actor.with_command(Command("one wish", "another")))

    def test_the_same_cancel_run_again_finds_what_it_canceled(self, api, environment, order):
        _, attempt = hold(api, order)
        actor = actor_in(environment).with_command(Command(key="stop", digest="its digest"))
        services.cancel_attempt(order_id=order.id, attempt_id=attempt, data={}, actor=actor)

        with nothing_moves(order):
            again = services.cancel_attempt(order_id=order.id, attempt_id=attempt, data={}, actor=actor)

        assert again.attempt.status == "canceled"
        assert len(at_processor(order).of_kind("release")) == 1


class TestCapturing:
    """The hold was captured, or it was not."""

    def test_d054_a_lost_answer_is_found_by_the_sweep_whatever_repeats_say(self, api, order):
        leg, attempt = hold(api, order)
        with going_wrong(order, on="capture", fault="lose_answer"):
            lost = capture(api, order, leg, attempt)
        assert (lost.status_code, lost.data["payment_intent"]["status"]) == (200, "requires_capture")

        refused = capture(api, order, leg, attempt)
        assert (refused.status_code, refused.code) == (409, "PAYMENT_OPERATION_IN_PROGRESS")
        sweep(at=later(hours=30))

        assert_books(order, paid=12_000, payment_status="paid", active_attempt_id="")
        assert charged(order) == [12_000]

    def test_the_same_key_asks_and_settles(self, environment, api, order):
        leg, attempt = hold(api, order)
        actor = actor_in(environment).with_command(Command(key="take it", digest="its digest"))
        wanted = {"order_id": order.id, "payment_intent_id": leg, "data": {"order_payment_attempt_id": attempt}}
        with going_wrong(order, on="capture", fault="lose_answer"):
            services.capture(**wanted, actor=actor)

        captured = services.capture(**wanted, actor=actor)

        assert captured.payment_intent.status == "succeeded"
        assert_books(order, paid=12_000)
        assert charged(order) == [12_000]

    def test_one_that_never_arrived_is_given_up_and_the_hold_may_be_captured_again(self, api, order):
        leg, attempt = hold(api, order)
        with going_wrong(order, on="capture", fault="never_executed"):
            capture(api, order, leg, attempt, 7_000)
        sweep(at=later(minutes=11))
        assert PaymentOperation.objects.get(kind="capture").result == "refused"
        assert_books(order, paid=0, active_attempt_id=attempt)

        capture(api, order, leg, attempt, 7_000)

        assert_books(order, paid=7_000, outstanding=5_000)
        assert charged(order) == [7_000]

    def test_the_notice_of_a_capture_answers_it(self, api, order):
        leg, attempt = hold(api, order)
        with going_wrong(order, on="capture", fault="lose_answer"):
            capture(api, order, leg, attempt)

        deliver_notices(order.environment)

        assert not PaymentOperation.objects.filter(answered_at__isnull=True).exists()
        assert_books(order, paid=12_000, active_attempt_id="")


class TestCanceling:
    """The hold was released, or it was not."""

    @pytest.mark.parametrize("verb", [cancel, cancel_attempt])
    def test_a_lost_answer_is_found_by_the_sweep(self, api, order, verb):
        leg, attempt = hold(api, order)
        with going_wrong(order, on="cancel", fault="lose_answer"):
            verb(api, order, *((leg, attempt) if verb is cancel else (attempt,)))
        assert PaymentIntent.objects.get(id=leg).status == "requires_capture"

        sweep(at=later(minutes=1))

        assert attempts_of(order) == ["canceled"]
        assert_books(order, paid=0, outstanding=12_000, active_attempt_id="")
        assert [effect.kind for effect in at_processor(order)] == ["authorization", "release"]

    def test_one_that_never_arrived_is_given_up_and_may_be_tried_again(self, api, order):
        leg, attempt = hold(api, order)
        with going_wrong(order, on="cancel", fault="never_executed"):
            cancel(api, order, leg, attempt)
        with nothing_moves(order):
            assert cancel(api, order, leg, attempt).code == "PAYMENT_OPERATION_IN_PROGRESS"

        sweep(at=later(minutes=11))
        cancel(api, order, leg, attempt)

        assert_books(order, paid=0, active_attempt_id="")
        assert len(at_processor(order).of_kind("release")) == 1

    def test_while_a_cancel_is_unanswered_nothing_is_captured(self, api, environment, order):
        leg, attempt = hold(api, order)
        with going_wrong(order, on="cancel", fault="never_executed"):
            cancel(api, order, leg, attempt)

        with nothing_moves(order), pytest.raises(PaymentOperationInProgress):
            services.capture(
                order_id=order.id,
                payment_intent_id=leg,
                data={"order_payment_attempt_id": attempt, "amount_money": eur(1)},
                actor=actor_in(environment),
            )


def test_d020_the_client_repeats_what_it_lost_and_finds_its_one_charge(api, order):
    with going_wrong(order, on="confirm", fault="lose_answer"):
        lost = pay(api, order, key="one wish", expected_outstanding_money=wire(eur(12_000)))

    again = pay(api, order, key="one wish", expected_outstanding_money=wire(eur(12_000)))
    assert attempt_of(again) == attempt_of(lost)
    sweep(at=later(minutes=1))

    assert_books(order, paid=12_000, balance=0)
    assert (attempts_of(order), charged(order)) == (["succeeded"], [12_000])


def call_processor(started: Started) -> None:
    """Make an attempt's calls, and be killed before any answer is recorded."""
    for operation, token in started.calls:
        leg = operation.payment_intent
        processor_of(leg.processor).confirm(
            PaymentRequest(
                operation_id=operation.id,
                payment_intent_id=leg.id,
                environment_id=leg.environment_id,
                order_id=leg.order_id,
                money=leg.money,
                capture_method=leg.capture_method,
                token=token,
            )
        )
