"""Payments that went another way at the processor than here: found by comparing, booked once, or put on the list."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flint.merchants import selectors, services
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur
from payments.models import PaymentOperation, ReconcileDifference
from payments.processors.sandbox import dashboard
from payments.processors.sandbox.models import SandboxPayment
from payments.tests.acts import (
    authenticate,
    capture,
    goes_through_after_all,
    going_wrong,
    hold,
    later,
    nothing_moves,
    pay,
    reference_of,
)
from payments.tests.reconciling import counts, differences, moved, reconcile


@pytest.fixture
def order(environment):
    return stories.open_order(environment, total=10_000)


def behind_our_back(environment, order) -> dict[str, str]:
    return {"environment_id": environment.id, "reference": reference_of(order)}


class TestImported:
    """What happened there is booked here by the same way that notices take."""

    def test_a_sale_that_both_sides_know_is_compared_and_left_alone(self, api, environment, order):
        pay(api, order)
        before = moved(environment)

        with nothing_moves(order):
            run = reconcile(environment)

        assert (run.status, counts(run, "payment"), differences(environment)) == ("succeeded", (1, 0, 0), [])
        assert moved(environment) == before

    def test_d006_a_buyer_who_never_came_back_has_paid_all_the_same(self, api, environment, order):
        asked = pay(api, order, "pm_card_threeDSecure2Required")
        authenticate(api, asked)

        run = reconcile(environment)

        assert counts(run, "payment") == (1, 1, 0)
        assert_books(order, paid=10_000, balance=0, payment_status="paid", active_attempt_id="")

    def test_d030_a_lost_answer_is_found_by_comparing_alone(self, api, environment, order):
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)

        run = reconcile(environment)

        assert counts(run, "payment") == (1, 1, 0)
        assert_books(order, paid=10_000, balance=0, payment_status="paid")

    def test_d037_a_declined_payment_that_went_through_after_all(self, api, environment, order):
        pay(api, order, "pm_card_chargeDeclined")
        goes_through_after_all(order)

        reconcile(environment)

        assert_books(order, paid=10_000, balance=0, payment_status="paid")

    def test_d045_a_part_captured_in_the_dashboard_is_taken_and_the_rest_let_go(self, api, environment, order):
        leg, attempt = hold(api, order)
        dashboard.capture(**behind_our_back(environment, order), money=eur(2_500))

        run = reconcile(environment)

        assert counts(run, "payment") == (1, 1, 0)
        assert_books(order, total=10_000, paid=2_500, outstanding=7_500, payment_status="partially_paid")
        leg_row = order.payment_intents.get()
        assert (leg_row.status, leg_row.captured_amount, leg_row.released_amount) == ("succeeded", 2_500, 7_500)
        with nothing_moves(order):
            assert capture(api, order, leg).status_code == 409

    def test_d046_captured_in_the_dashboard_and_then_refunded_in_part_here(self, api, environment, order):
        hold(api, order)
        dashboard.capture(**behind_our_back(environment, order), money=eur(10_000))

        reconcile(environment)
        stories.refund(order, amount_money=eur(3_000))

        assert_books(order, paid=10_000, refunded=3_000, credit=3_000, balance=0)

    def test_d036_a_hold_canceled_in_the_dashboard_blocks_nobody(self, api, environment, order):
        hold(api, order)
        dashboard.cancel(**behind_our_back(environment, order))

        reconcile(environment)

        assert_books(order, paid=0, outstanding=10_000, active_attempt_id="")
        assert order.payment_intents.get().status == "canceled"
        pay(api, order)
        assert_books(order, paid=10_000, balance=0)

    def test_d049_a_second_comparison_finds_nothing_and_moves_nothing(self, api, environment, order):
        hold(api, order)
        dashboard.capture(**behind_our_back(environment, order), money=eur(4_324))
        reconcile(environment)
        before = moved(environment)

        with nothing_moves(order):
            run = reconcile(environment)

        assert counts(run, "payment") == (1, 0, 0)
        assert (differences(environment), moved(environment)) == ([], before)


class TestDifferences:
    """What fits nowhere is never booked and never forgotten."""

    def test_a_payment_of_somebody_elses_is_on_the_list_and_on_no_order(self, api, environment, order):
        pay(api, order)
        dashboard.charge(environment_id=environment.id, money=eur(700))

        with nothing_moves(order):
            run = reconcile(environment)

        assert counts(run, "payment") == (2, 0, 1)
        assert differences(environment) == [("payment", "not_ours", None, 700)]

    def test_a_payment_of_somebody_elses_that_took_nothing_is_nobodys_business(self, environment):
        dashboard.charge(environment_id=environment.id, money=eur(700), token="pm_card_chargeDeclined")
        assert counts(reconcile(environment), "payment") == (1, 0, 0)
        assert differences(environment) == []

    def test_d012_a_payment_that_names_another_orders_payment_intent(self, api, environment, order):
        other = stories.open_order(environment, total=50_000)
        pay(api, order)
        stranger = SandboxPayment.objects.get(order_id=order.id)
        leg = stories.pay(other).order.payment_intents.get()
        stranger.payment_intent_id = leg.id
        stranger.save()

        with nothing_moves(order, other):
            reconcile(environment)

        assert differences(environment) == [("payment", "does_not_fit", None, 10_000)]
        assert_books(other, paid=50_000, processor=False)

    def test_d068_a_payment_with_the_ids_of_another_environment_is_never_applied_there(
        self, api, environment, merchant, order
    ):
        pay(api, order)
        sandbox = services.create_sandbox(merchant_id=merchant.id, name="Copy")
        theirs = SandboxPayment.objects.get(order_id=order.id)
        copied = dashboard.charge(environment_id=sandbox.id, money=eur(10_000))
        SandboxPayment.objects.filter(reference=copied.reference).update(
            operation_id=theirs.operation_id, payment_intent_id=theirs.payment_intent_id
        )

        with nothing_moves(order):
            reconcile(sandbox)

        assert differences(sandbox) == [("payment", "unknown_operation", None, 10_000)]
        assert differences(environment) == []

    def test_a_payment_in_another_currency_than_was_asked_for(self, api, environment, order):
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)
        SandboxPayment.objects.filter(order_id=order.id).update(currency="USD")

        with nothing_moves(order):
            reconcile(environment)

        (row,) = ReconcileDifference.objects.filter(environment=environment)
        assert (row.problem, row.their_currency, "in USD" in row.text) == ("does_not_fit", "USD", True)

    def test_less_money_there_than_here_is_told_with_both_amounts(self, api, environment, order):
        pay(api, order)
        SandboxPayment.objects.filter(order_id=order.id).update(captured_amount=9_000)

        with nothing_moves(order):
            reconcile(environment)

        assert differences(environment) == [("payment", "captured_amount", 10_000, 9_000)]
        assert ReconcileDifference.objects.get().order_id == order.id

    def test_a_payment_that_the_processor_does_not_have_is_told(self, api, environment, order):
        pay(api, order)
        PaymentOperation.objects.filter(payment_intent__order=order).update(reference="sbp_gone")
        SandboxPayment.objects.filter(order_id=order.id).update(operation_id="", payment_intent_id="")

        with nothing_moves(order):
            reconcile(environment)

        assert differences(environment) == [
            ("payment", "not_ours", None, 10_000),
            ("payment", "missing_there", 10_000, None),
        ]

    def test_a_difference_that_is_settled_is_off_the_list(self, api, environment, order):
        pay(api, order)
        SandboxPayment.objects.filter(order_id=order.id).update(captured_amount=9_000)
        reconcile(environment)
        SandboxPayment.objects.filter(order_id=order.id).update(captured_amount=10_000)

        reconcile(environment)

        row = ReconcileDifference.objects.get()
        assert (differences(environment), row.status) == ([], "resolved")

    def test_one_that_still_differs_is_the_same_one_seen_again(self, environment):
        dashboard.charge(environment_id=environment.id, money=eur(700))
        first = reconcile(environment)
        row = ReconcileDifference.objects.get()

        second = reconcile(environment, at=later(minutes=5))

        again = ReconcileDifference.objects.get()
        assert (first.counted("new"), second.counted("new"), second.counted("differing")) == (1, 0, 1)
        assert (again.first_seen_at, again.last_seen_at > row.last_seen_at) == (row.first_seen_at, True)


class TestWindows:
    """The window is half open, by when the processor made the object."""

    def test_the_beginning_is_in_and_the_end_is_not(self, environment):
        noon = later(days=-1)
        for minutes in (0, 10):
            dashboard.charge(environment_id=environment.id, money=eur(700), at=noon + timedelta(minutes=minutes))

        run = reconcile(environment, since=noon, until=noon + timedelta(minutes=10))
        assert counts(run, "payment") == (1, 0, 1)
        run = reconcile(environment, since=noon + timedelta(minutes=10), until=noon + timedelta(minutes=20))
        assert counts(run, "payment") == (1, 0, 1)

    def test_three_days_are_looked_at_or_all_since_the_last_complete_run(self, environment):
        now = later()
        first = reconcile(environment, at=now)
        assert (first.since, first.until) == (now - timedelta(days=3), now)
        after_an_outage = reconcile(environment, at=now + timedelta(days=9))
        assert (after_an_outage.since, after_an_outage.until) == (now, now + timedelta(days=9))
        soon_after = reconcile(environment, at=now + timedelta(days=10))
        assert soon_after.since == now + timedelta(days=7)

    def test_a_difference_outside_of_the_window_is_looked_at_again_and_settled(self, api, environment, order):
        pay(api, order)
        SandboxPayment.objects.filter(order_id=order.id).update(captured_amount=9_000)
        reconcile(environment)
        SandboxPayment.objects.filter(order_id=order.id).update(captured_amount=10_000)

        reconcile(environment, at=later(days=8), since=later(days=7))

        assert differences(environment) == []


def test_the_number_of_statements_does_not_grow_with_what_is_compared_within_a_batch(environment, api):
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            reconcile(environment)
        return len(captured)

    for _ in range(3):
        stories.paid_order(environment)
        dashboard.charge(environment_id=environment.id, money=eur(700))
    reconcile(environment)
    few = statements()
    for _ in range(9):
        stories.paid_order(environment)
    assert statements() == few


def test_two_merchants_never_see_each_others(environment, merchant):
    rival = services.create_merchant(name="Rival", email="owner@rival.example")
    theirs = selectors.default_sandbox(rival.id)
    dashboard.charge(environment_id=theirs.id, money=eur(700))
    assert counts(reconcile(environment), "payment") == (0, 0, 0)
    assert differences(environment) == []
