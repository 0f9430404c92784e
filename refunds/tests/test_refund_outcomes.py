"""What becomes of a refund: done, refused, bounced on Thursday, or lost; counted when done, undone when not."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books, balances
from flint.testing.processors import network_of
from flint.testing.stories import actor_in, deliver_notices, eur, settled, sweep, time_passes, wire
from payments.models import PaymentIntent, PaymentOperation, ProcessorNotice
from payments.processors import processor_of
from payments.processors.base import RefundRequest
from payments.tests.acts import (
    at_processor,
    confirm,
    going_wrong,
    kinds_of,
    later,
    nothing_moves,
    pay,
    reference_of,
    stage,
)
from refunds import services, tasks
from refunds.models import Refund, RefundLeg

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")


@pytest.fixture
def order(environment):
    return stories.paid_order(environment)


def paid_with(api, environment, token: str):
    order = stories.open_order(environment)
    pay(api, order, token)
    return order


def refunds_at_processor(order) -> list[int]:
    return [effect.amount for effect in at_processor(order).refunds]


def promised(order, **data) -> RefundLeg:
    """Create a refund whose task never runs, and return its leg."""
    with collecting():
        made = services.create_refund(data={"order_id": order.id, **data}, actor=actor_in(order.environment))
    return made.legs.get()


class TestRefused:
    """A refund that the processor will not make is as if it had never been asked for."""

    def test_d077_it_fails_and_frees_what_it_had_reserved(self, order):
        with going_wrong(order, on="refund", fault="refuse", code="insufficient_available_balance"):
            made = stories.refund(order, amount_money=eur(4_000))

        assert (made.status, made.failure_reason) == ("failed", "insufficient_available_balance")
        assert_books(order, refunded=0, refund_pending=0, credit=0, balance=0, refund_status="none")
        assert kinds_of(order)[-2:] == ["refund.created", "refund.failed"]

        stories.refund(order, amount_money=eur(4_000))
        assert_books(order, refunded=4_000, credit=4_000, balance=0)
        assert refunds_at_processor(order) == [4_000]

    def test_d079_units_and_tip_are_free_again_too(self, api, environment):
        order = stories.open_order(
            environment, stories.line(1_000, quantity=5), requested_tip={"amount_money": eur(500)}
        )
        pay(api, order)

        with going_wrong(order, on="refund", fault="refuse", code="insufficient_available_balance"):
            made = stories.refund(order)

        row = order.line_items.get()
        assert (made.status, row.refund_pending_quantity, row.refund_pending_amount) == ("failed", 0, 0)
        assert_books(order, refund_pending=0, tip_refund_pending_amount=0, refunded=0)
        assert refunds_at_processor(order) == []

    def test_a_reason_of_the_processors_own_is_told_in_the_contracts_words(self, order):
        with going_wrong(order, on="refund", fault="refuse", code="something_else"):
            assert stories.refund(order).failure_reason == "refund_failed"

    def test_money_given_back_after_it_was_given_up_is_booked_as_what_it_is(self, environment, order):
        with going_wrong(order, on="refund", fault="refuse"):
            given_up = stories.refund(order, amount_money=eur(4_000))
        network_of(environment).refund(reference_of(order), eur(4_000), operation_id=given_up.legs.get().id)

        deliver_notices(environment)

        assert ProcessorNotice.objects.get(kind="refund").status == "handled"
        assert_books(order, refunded=4_000, credit=4_000, refund_pending=0)
        found = order.refunds.exclude(id=given_up.id).get()
        assert (found.origin, found.status, given_up.status) == ("processor", "succeeded", "failed")


class TestLate:
    """A refund may take its time, and may come back."""

    def test_a_pending_refund_is_reserved_until_it_arrives(self, api, environment):
        order = paid_with(api, environment, "pm_card_pendingRefund")

        stories.refund(order, amount_money=eur(3_000))
        assert_books(order, refund_pending=3_000, refunded=0, credit=0, refund_status="none")

        time_passes(environment, later(minutes=1))
        assert_books(order, refund_pending=0, refunded=3_000, credit=3_000, balance=0)

    def test_d078_one_that_succeeds_today_and_fails_on_thursday_is_undone_by_new_entries(self, api, environment):
        order = paid_with(api, environment, "pm_card_refundFail")
        made = stories.refund(order)
        assert_books(order, refunded=10_000, credit=10_000, refund_status="refunded")
        before = list(order.entries.order_by("sequence").values_list("kind", flat=True))

        time_passes(environment, later(days=3))
        time_passes(environment, later(days=4))

        made.refresh_from_db()
        assert (made.status, made.failure_reason) == ("failed", "expired_or_canceled_card")
        assert_books(order, paid=10_000, refunded=0, credit=0, balance=0, refund_status="none", payment_status="paid")
        # Meanwhile the payment was paid out, and what it cost is booked; that is no part of this.
        after = list(order.entries.exclude(kind="fee").order_by("sequence").values_list("kind", flat=True))
        assert after == [*before, "refund_reversed", "credit_goods_reversed"]
        assert kinds_of(order).count("refund.failed") == 1
        assert balances(order)["sales"] == -10_000

    def test_d078_without_any_notice_the_sweep_learns_of_it(self, api, environment):
        order = paid_with(api, environment, "pm_card_refundFail")
        stories.refund(order, amount_money=eur(4_000))
        with going_wrong(order, on="notice", fault="drop", times=None), collecting():
            network_of(environment).advance(later(minutes=1))
            deliver_notices(environment)

        sweep(at=later(hours=7))

        assert_books(order, refunded=0, credit=0, balance=0)
        stories.refund(order, amount_money=eur(4_000))
        assert_books(order, refunded=4_000, credit=4_000, balance=0)

    def test_one_that_came_back_opens_the_debt_it_had_reopened_no_further(self, api, environment):
        order = paid_with(api, environment, "pm_card_refundFail")
        stories.refund(order, balance_effect="reopen")
        assert_books(order, refunded=10_000, credit=0, outstanding=10_000, payment_status="unpaid")

        time_passes(environment, later(days=3))

        assert_books(order, refunded=0, credit=0, balance=0, payment_status="paid")


@pytest.mark.processors("sandbox", "stripe")
class TestUnknown:
    """An answer that is lost: the money stays reserved, the processor is asked, and nothing is sent twice."""

    @pytest.mark.parametrize("by", ["notice", "sweep"])
    def test_d081_a_refund_whose_answer_was_lost_is_found(self, environment, by):
        order = stories.paid_order(environment, total=7_000)
        with going_wrong(order, on="refund", fault="lose_answer"):
            made = stories.refund(order)
        assert made.status == "pending"
        assert_books(order, refund_pending=7_000, refunded=0, processor=False)

        if by == "notice":
            deliver_notices(environment)
        else:
            sweep(at=later(minutes=1))

        assert_books(order, refunded=7_000, refund_pending=0, credit=7_000, balance=0)
        assert RefundLeg.objects.get().reference.startswith(("sbr_", "re_"))
        assert refunds_at_processor(order) == [7_000]

    def test_meanwhile_its_money_counts_against_every_cap(self, api, order):
        with going_wrong(order, on="refund", fault="lose_answer"):
            stories.refund(order, amount_money=eur(7_000))

        with nothing_moves(order):
            refused = api.post("/v1/refunds", {"order_id": order.id, "amount_money": wire(eur(3_001))})

        assert (refused.code, refused.error["maximum_money"]) == ("AMOUNT_EXCEEDS_REFUNDABLE", wire(eur(3_000)))

    def test_one_that_never_arrived_is_sent_again_after_a_while_and_only_then(self, order):
        with going_wrong(order, on="refund", fault="never_executed"):
            stories.refund(order, amount_money=eur(4_000))
        sweep(at=later(minutes=9))
        assert refunds_at_processor(order) == []
        assert_books(order, refund_pending=4_000, refunded=0)

        sweep(at=later(hours=1))

        assert refunds_at_processor(order) == [4_000]
        assert_books(order, refund_pending=0, refunded=4_000, credit=4_000)

    def test_d039_one_whose_key_the_processor_has_forgotten_is_looked_up_and_never_sent_again(self, order):
        with going_wrong(order, on="refund", fault="lose_answer"):
            leg = stories.refund(order, amount_money=eur(2_000)).legs.get()
        network_of(order.environment_id).forget_keys(later(hours=30))

        services.send_refund(leg.id, actor=actor_in(order.environment), at=later(hours=30))

        assert_books(order, refunded=2_000, credit=2_000, balance=0)
        assert refunds_at_processor(order) == [2_000]

    def test_a_processor_out_of_reach_delays_it(self, order):
        with going_wrong(order, on="refund", fault="unreachable"):
            stories.refund(order, amount_money=eur(4_000))
        assert_books(order, refund_pending=4_000, refunded=0)

        sweep(at=later(minutes=1))

        assert_books(order, refunded=4_000, refund_pending=0)
        assert refunds_at_processor(order) == [4_000]

    def test_while_it_cannot_be_asked_it_stays_as_it_is(self, order):
        with going_wrong(order, on="refund", fault="lose_answer"):
            stories.refund(order)

        with going_wrong(order, on="retrieve", fault="unreachable", times=None), nothing_moves(order):
            for hour in range(1, 4):
                sweep(at=later(hours=hour))

        sweep(at=later(hours=5))
        assert_books(order, refunded=10_000)
        assert refunds_at_processor(order) == [10_000]


class TestLostTasks:
    """The pending leg is the truth, the task a hint."""

    def test_a_refund_whose_task_was_lost_is_sent_by_the_sweep(self, order):
        promised(order)
        assert_books(order, refund_pending=10_000)

        sweep(at=timezone.now() + timedelta(seconds=1))

        assert_books(order, refunded=10_000, refund_pending=0)

    def test_d165_the_task_is_left_to_after_the_commit_and_a_rollback_leaves_none(self, environment, order):
        with collecting() as left, transaction.atomic():
            services.create_refund(data={"order_id": order.id}, actor=actor_in(environment))
            transaction.set_rollback(True)

        assert left == []
        assert_books(order, refund_pending=0)
        assert not Refund.objects.exists()

    def test_a_task_that_runs_several_times_sends_once(self, order):
        leg = promised(order)

        for _ in range(3):
            with settled():
                tasks.send_refund.run(refund_leg_id=leg.id, environment_id=order.environment_id)

        assert_books(order, refunded=10_000)
        assert refunds_at_processor(order) == [10_000]

    @pytest.mark.processors("sandbox", "stripe")
    def test_a_worker_killed_after_the_processors_answer_loses_nothing(self, order):
        leg = promised(order, amount_money=eur(2_500))
        RefundLeg.objects.filter(id=leg.id).update(sent_at=timezone.now())
        processor_of(leg.payment_intent.processor).refund(
            RefundRequest(
                operation_id=leg.id,
                refund_id=leg.refund_id,
                environment_id=leg.environment_id,
                payment_reference=PaymentOperation.objects.get(payment_intent__order=order).reference,
                money=leg.money,
            )
        )

        with settled():
            tasks.send_refund.run(refund_leg_id=leg.id, environment_id=order.environment_id)

        assert_books(order, refunded=2_500, credit=2_500)
        assert refunds_at_processor(order) == [2_500]

    @pytest.mark.processors("sandbox", "stripe")
    def test_the_beats_task_runs_the_sweep(self, order):
        promised(order)

        with settled():
            tasks.sweep.run()

        assert_books(order, refunded=10_000)

    def test_one_bad_row_never_stops_the_rest(self, environment, order):
        other = stories.paid_order(environment)
        bad = promised(order)
        promised(other)
        PaymentIntent.objects.filter(id=bad.payment_intent_id).update(processor="gone")

        sweep(at=later(minutes=1))

        assert_books(other, refunded=10_000)
        assert_books(order, refund_pending=10_000, refunded=0)

    def test_a_refund_that_succeeded_is_watched_for_a_month_and_then_let_be(self, order):
        leg = stories.refund(order).legs.get()
        assert leg.next_check_at is not None

        with nothing_moves(order):
            sweep(at=later(days=36))

        leg.refresh_from_db()
        assert leg.next_check_at is None


class TestNotices:
    """Our own refunds are known by the operation id that we put into them."""

    @pytest.mark.parametrize("first", ["notice", "answer"])
    def test_d072_our_own_refund_does_not_come_back_as_a_strangers(self, environment, order, first):
        with going_wrong(order, on="refund", fault="lose_answer" if first == "notice" else "delay", seconds=0):
            stories.refund(order, amount_money=eur(3_000))

        deliver_notices(environment)
        sweep(at=later(minutes=1))

        assert Refund.objects.count() == 1
        assert_books(order, refunded=3_000, credit=3_000, balance=0)
        assert refunds_at_processor(order) == [3_000]
        assert set(ProcessorNotice.objects.values_list("status", flat=True)) == {"handled"}

    def test_d069_refunds_of_a_settled_payment_are_each_booked(self, environment, order):
        for amount in (1_000, 2_000):
            with going_wrong(order, on="refund", fault="lose_answer"):
                stories.refund(order, amount_money=eur(amount))

        deliver_notices(environment)

        assert_books(order, refunded=3_000, credit=3_000, balance=0, refund_status="partially_refunded")
        assert order.entries.filter(kind="refund").count() == 2


def test_a_refund_over_two_payments_of_which_one_fails_succeeds_in_part(api, environment):
    order = stories.open_order(environment)
    first, second = stage(api, order, 6_000), stage(api, order, 4_000)
    confirm(api, order, first, completion_behavior="partial_payment")
    confirm(api, order, second)

    with going_wrong(order, on="refund", fault="refuse", code="insufficient_available_balance"):
        made = stories.refund(order)

    assert (made.status, made.failure_reason) == ("partially_succeeded", "insufficient_available_balance")
    legs = [(leg.payment_intent_id, leg.status) for leg in made.legs.order_by("position")]
    assert legs == [(second, "failed"), (first, "succeeded")]
    assert_books(order, refunded=6_000, refund_pending=0, credit=6_000, balance=0, refund_status="partially_refunded")
    shown = api.get(f"/v1/refunds/{made.id}").data
    assert shown["status"] == "partially_succeeded"
