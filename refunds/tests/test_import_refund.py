"""Refunds made at the processor: booked once on the order of their payment, whoever learns of them first."""

from functools import partial

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, deliver_notices, eur, line, sweep
from orders.services import close_order
from payments.models import ProcessorNotice, ReconcileDifference
from payments.processors import processor_of
from payments.processors.base import RefundState
from payments.processors.sandbox import dashboard, faults, network
from payments.processors.sandbox.models import SandboxAccount, SandboxOperation, SandboxPayment
from payments.reconciling.runs import carry_out
from payments.tests.acts import at_once, going_wrong, kinds_of, later, nothing_moves, pay, reference_of
from payments.tests.reconciling import begun, counts, differences, moved, reconcile
from refunds.models import Refund, RefundLeg
from refunds.services import create_refund, take_in_refund


@pytest.fixture
def order(environment):
    return stories.paid_order(environment, line(6_000, quantity=2, name="Bag"), line(4_000, name="Grinder"))


def refund_there(order, amount: int, **more):
    """Refund a payment of the order in the processor's dashboard."""
    return dashboard.refund(
        environment_id=order.environment_id, reference=reference_of(order), money=eur(amount), **more
    )


@pytest.fixture(params=["notice", "reconciliation"])
def learn(request, environment):
    """The two ways of learning of it: told by a notice, or found by comparing with every notice lost."""

    def by_notice() -> None:
        deliver_notices(environment)

    def by_comparing() -> None:
        reconcile(environment)

    return by_notice if request.param == "notice" else by_comparing


class TestImported:
    """A refund in the dashboard is a refund here, as a credit that waits to be explained."""

    def test_d083_dashboard_refunds_reach_the_order(self, environment, order, learn):
        refund_there(order, 4_000)
        learn()
        assert_books(order, paid=16_000, refunded=4_000, credit=4_000, balance=0, refund_status="partially_refunded")
        refund_there(order, 12_000)
        learn()

        assert_books(order, refunded=16_000, credit=16_000, balance=0, refund_status="refunded")
        first, second = order.refunds.order_by("created_at", "id")
        assert {(each.origin, each.status, each.is_unexplained) for each in (first, second)} == {
            ("processor", "succeeded", True)
        }
        assert SandboxOperation.objects.filter(kind="refund").count() == 0, "we asked for nothing"

    def test_it_is_spread_over_what_is_left_and_a_whole_part_takes_its_units(self, environment, order, learn):
        refund_there(order, 4_000)
        learn()
        bag, grinder = order.line_items.order_by("position")
        assert (bag.refunded_amount, grinder.refunded_amount) == (3_000, 1_000)

        refund_there(order, 12_000)
        learn()

        bag, grinder = order.line_items.order_by("position")
        assert (bag.refunded_amount, bag.refunded_quantity) == (12_000, 2)
        assert (grinder.refunded_amount, grinder.refunded_quantity) == (4_000, 1)

    def test_d069_a_second_one_and_a_repeat_of_the_first(self, environment, order):
        refund_there(order, 1_000)
        deliver_notices(environment)
        refund_there(order, 2_000)
        faults.plan(environment.id, on="notice", fault="duplicate")
        deliver_notices(environment)

        assert_books(order, refunded=3_000, credit=3_000, balance=0, refund_status="partially_refunded")
        assert order.refunds.count() == 2

    def test_d096_two_of_the_same_amount_are_two(self, environment, order, learn):
        refund_there(order, 1_500)
        refund_there(order, 1_500)
        learn()
        assert_books(order, refunded=3_000, credit=3_000)
        assert order.refunds.count() == 2

    def test_d082_the_accidental_second_charge_is_given_back_out_of_the_surplus(self, api, environment, learn):
        order = stories.open_order(environment, total=4_000)
        pay(api, order, "pm_card_chargeDeclined")
        with transaction.atomic():
            network.approve(SandboxPayment.objects.get(order_id=order.id), at=timezone.now())
        pay(api, order)
        deliver_notices(environment)
        sweep(at=later(minutes=5))
        assert_books(order, paid=8_000, balance=-4_000)

        dashboard.refund(environment_id=environment.id, reference=reference_of(order, 1), money=eur(4_000))
        learn()

        assert_books(order, paid=8_000, refunded=4_000, credit=0, balance=0, payment_status="paid")
        leg = order.refunds.get().legs.get()
        assert leg.operation.reference == reference_of(order, 1)
        assert order.line_items.get().refunded_amount == 0

    def test_d084_the_refund_is_heard_of_before_the_payment(self, api, environment, learn):
        order = stories.open_order(environment, total=2_200)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)
        payment = SandboxPayment.objects.get(order_id=order.id)
        made = dashboard.refund(environment_id=environment.id, reference=payment.reference, money=eur(2_200))

        take_in_refund(made, processor=processor_of("sandbox"), actor=actor_in(environment))

        assert_books(order, paid=2_200, refunded=2_200, credit=2_200, balance=0)
        learn()
        assert_books(order, paid=2_200, refunded=2_200, credit=2_200, balance=0)

    @pytest.mark.parametrize("amounts", [(1_200, 500), (500, 1_200)])
    def test_d089_whichever_way_it_was_refunded_the_status_is_the_same(self, environment, amounts, learn):
        order = stories.open_order(environment, total=1_700)
        stories.pay(order)
        refund_there(order, amounts[0])
        learn()
        assert_books(order, refunded=amounts[0], refund_status="partially_refunded")
        stories.refund(order, amount_money=eur(amounts[1]))
        assert_books(order, paid=1_700, refunded=1_700, credit=1_700, balance=0, refund_status="refunded")

    def test_one_that_is_on_its_way_is_reserved_and_never_sent_again(self, api, environment, learn):
        order = stories.open_order(environment, total=10_000)
        pay(api, order, "pm_card_pendingRefund")
        refund_there(order, 3_000)
        learn()
        assert_books(order, refunded=0, refund_pending=3_000, credit=0, processor=False)

        sweep(at=later(hours=1))
        assert SandboxOperation.objects.filter(kind="refund").count() == 0
        stories.time_passes(environment, later(hours=2))

        assert_books(order, refunded=3_000, refund_pending=0, credit=3_000)

    def test_d078_one_that_bounces_later_is_undone(self, api, environment, learn):
        order = stories.open_order(environment, total=10_000)
        pay(api, order, "pm_card_refundFail")
        refund_there(order, 3_000)
        learn()
        assert_books(order, refunded=3_000, credit=3_000)

        stories.time_passes(environment, later(days=3))
        learn()

        assert_books(order, paid=10_000, refunded=0, credit=0, balance=0, refund_status="none")
        assert order.refunds.get().status == "failed"

    def test_one_that_never_gave_anything_back_is_nobodys_business(self, api, environment):
        order = stories.open_order(environment, total=10_000)
        pay(api, order, "pm_card_pendingRefund")
        made = refund_there(order, 3_000)
        dashboard.fail_refund(environment_id=environment.id, reference=made.reference)
        deliver_notices(environment)
        run = reconcile(environment)
        assert (counts(run, "refund"), order.refunds.count()) == ((1, 0, 0), 0)

    def test_a_closed_order_takes_it_too(self, environment, order, learn):
        close_order(order_id=order.id, actor=actor_in(environment))
        refund_there(order, 4_000)
        learn()
        assert_books(order, status="closed", refunded=4_000, credit=4_000, balance=0)

    def test_the_history_says_where_it_comes_from(self, environment, order, learn):
        refund_there(order, 4_000)
        learn()
        assert kinds_of(order)[-2:] == ["refund.created", "refund.succeeded"]
        created = order.events.get(type="refund.created")
        assert (created.data["origin"], created.data["amount"]) == ("processor", 4_000)

    def test_the_api_says_where_it_comes_from(self, api, environment, order, learn):
        refund_there(order, 4_000)
        learn()
        found = order.refunds.get()
        shown = api.get(f"/v1/refunds/{found.id}").data
        assert (shown["origin"], shown["amount_money"]["amount"]) == ("processor", 4_000)
        ours = stories.refund(order, amount_money=eur(100))
        assert api.get(f"/v1/refunds/{ours.id}").data["origin"] == "flint"


class TestOurs:
    """A refund that carries our operation id is ours, however it is heard of."""

    def test_d081_a_lost_answer_is_matched_by_our_operation_id(self, environment, order, learn):
        with going_wrong(order, on="refund", fault="lose_answer"):
            stories.refund(order, amount_money=eur(4_000))
        assert_books(order, refund_pending=4_000, refunded=0, processor=False)

        learn()

        assert_books(order, refunded=4_000, refund_pending=0, credit=4_000)
        refund = order.refunds.get()
        assert (refund.origin, refund.legs.get().reference != "") == ("flint", True)

    def test_d072_our_own_and_one_of_the_dashboards_of_the_same_amount(self, environment, order, learn):
        with going_wrong(order, on="refund", fault="lose_answer"):
            stories.refund(order, amount_money=eur(4_000))
        refund_there(order, 4_000)

        learn()
        sweep(at=later(hours=1))

        assert_books(order, refunded=8_000, refund_pending=0, credit=8_000)
        assert sorted(order.refunds.values_list("origin", flat=True)) == ["flint", "processor"]

    def test_a_refund_with_an_operation_id_that_is_not_known_is_never_booked(self, environment, order):
        payment = SandboxPayment.objects.get(order_id=order.id)
        network.refund(payment, money=eur(500), at=timezone.now(), operation_id="rfl_OFSOMEBODYELSE")

        with nothing_moves(order):
            run = reconcile(environment)

        assert counts(run, "refund") == (1, 0, 1)
        assert differences(environment) == [("refund", "does_not_fit", None, 500)]


class TestDifferences:
    """What cannot be booked is kept, with both amounts, until it can."""

    def test_a_refund_of_a_payment_that_is_not_known_here(self, environment, order, learn):
        stranger = dashboard.charge(environment_id=environment.id, money=eur(900))
        dashboard.refund(environment_id=environment.id, reference=stranger.reference, money=eur(900))

        learn()
        run = reconcile(environment)

        assert counts(run, "refund") == (1, 0, 1)
        assert ("refund", "does_not_fit", None, 900) in differences(environment)
        assert Refund.objects.count() == 0

    def test_more_than_was_collected_is_booked_as_far_as_the_caps_go(self, environment, order, learn):
        gives_back_anything(environment)
        refund_there(order, 10_000)
        refund_there(order, 8_000)

        learn()

        assert_books(order, refunded=16_000, credit=16_000, balance=0, processor=False)
        ((kind, problem, ours, theirs),) = differences(environment)
        assert (kind, problem) == ("refund", "exceeds_refundable")
        assert theirs - ours == 2_000

    def test_money_of_ours_on_its_way_is_in_the_way_until_it_is_given_up(self, environment, order, learn):
        with going_wrong(order, on="refund", fault="never_executed"):
            stories.refund(order, amount_money=eur(6_000))
        refund_there(order, 16_000)
        learn()
        assert_books(order, refunded=10_000, refund_pending=6_000, processor=False)
        assert differences(environment) == [("refund", "exceeds_refundable", 10_000, 16_000)]

        sweep(at=later(hours=1))
        reconcile(environment, at=later(hours=2))

        assert_books(order, refunded=16_000, refund_pending=0, credit=16_000, balance=0)
        assert differences(environment) == []
        found = order.refunds.get(origin="processor")
        assert (found.amount, found.status, found.legs.count()) == (16_000, "succeeded", 2)
        assert len(set(found.legs.values_list("reference", flat=True))) == 1

    def test_a_refund_that_the_processor_does_not_have(self, environment, order):
        stories.refund(order, amount_money=eur(4_000))
        RefundLeg.objects.update(reference="sbr_gone")
        payment = SandboxPayment.objects.get(order_id=order.id)
        payment.refunds.update(environment_id="env_elsewhere")

        with nothing_moves(order):
            reconcile(environment)

        assert differences(environment) == [("refund", "missing_there", 4_000, None)]

    def test_one_bad_row_never_stops_the_run(self, environment, order):
        other = stories.paid_order(environment)
        refund_there(order, 1_000)
        refund_there(other, 2_000)
        SandboxPayment.objects.filter(order_id=order.id).get().refunds.update(currency="USD")

        run = reconcile(environment)

        assert (run.status, counts(run, "refund")) == ("succeeded", (2, 1, 1))
        assert_books(other, refunded=2_000)

    def test_a_second_comparison_imports_nothing_and_moves_nothing(self, environment, order):
        refund_there(order, 1_000)
        reconcile(environment)
        before = moved(environment)
        with nothing_moves(order):
            run = reconcile(environment)
        assert (counts(run, "refund"), moved(environment)) == ((1, 0, 0), before)


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Real PostgreSQL, real transactions: whoever comes second finds it booked."""

    def test_two_importers_book_it_once(self, environment, order):
        made = refund_there(order, 4_000)

        def importing():
            return take_in_refund(made, processor=processor_of("sandbox"), actor=actor_in(environment))

        for _ in range(5):
            results = at_once(importing, importing, importing)
            assert not [each for each in results if isinstance(each, Exception)], results

        assert_books(order, refunded=4_000, credit=4_000)
        assert order.refunds.count() == 1

    def test_the_last_money_goes_to_one_of_two(self, environment, order):
        """A refund of ours and an import at once: together never more than the caps allow."""
        made = refund_there(order, 10_000)
        actor = actor_in(environment)

        at_once(
            lambda: take_in_refund(made, processor=processor_of("sandbox"), actor=actor),
            lambda: create_refund(data={"order_id": order.id, "amount_money": eur(10_000)}, actor=actor),
        )

        order.refresh_from_db()
        assert order.refunded_amount + order.refund_pending_amount <= 16_000
        assert_books(order, processor=False)

    def test_two_workers_at_one_run_carry_it_out_once(self, environment, order):
        for count in range(1, 9):
            refund_there(order, 1_000)
            run = begun(environment)

            results = at_once(partial(carry_out, run.id), partial(carry_out, run.id))

            assert sorted(each is None for each in results) == [False, True], results
            assert_books(order, refunded=1_000 * count, credit=1_000 * count)


def test_the_database_refuses_a_second_booking_of_the_same_refund(environment, order):
    refund_there(order, 1_000)
    reconcile(environment)
    leg = RefundLeg.objects.get()
    leg.pk, leg._state.adding = "rfl_01K00000000000000000000000", True
    with pytest.raises(IntegrityError, match="refund_leg_once_per_reference"), transaction.atomic():
        leg.save(force_insert=True)


def test_a_notice_that_cannot_be_booked_whole_puts_the_rest_on_the_list(environment, order):
    gives_back_anything(environment)
    refund_there(order, 20_000)
    deliver_notices(environment)
    assert ProcessorNotice.objects.filter(kind="refund").get().status == "handled"
    assert differences(environment) == [("refund", "exceeds_refundable", 16_000, 20_000)]
    assert ReconcileDifference.objects.get().order_id == order.id


def test_a_refund_that_names_another_environment_is_never_booked(environment, order):
    made = refund_there(order, 1_000)
    foreign = RefundState(
        reference=made.reference,
        status="succeeded",
        money=made.money,
        operation_id="",
        environment_id="env_elsewhere",
        payment_reference=made.payment_reference,
    )
    with nothing_moves(order), pytest.raises(Exception, match="another environment"):
        take_in_refund(foreign, processor=processor_of("sandbox"), actor=actor_in(environment))


def gives_back_anything(environment) -> None:
    """Have the processor no longer check refunds against what was captured."""
    SandboxAccount.objects.update_or_create(environment_id=environment.id, defaults={"allow_over_refund": True})
