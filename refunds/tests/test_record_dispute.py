"""What customers and their banks take back: booked once, to the unit, whatever comes first and whatever is left."""

from datetime import timedelta
from itertools import permutations

import pytest
from django.utils import timezone

from flint import actors
from flint.celery import collecting
from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books, balances
from flint.testing.stories import actor_in, deliver_notices, eur, wire
from orders.services import close_order
from payments.models import ProcessorNotice
from payments.processors.base import DoesNotFit
from payments.processors.sandbox import dashboard
from payments.processors.sandbox.models import SandboxPayment
from payments.reconciling import runs
from payments.tests.acts import DEBIT, at_processor, going_wrong, kinds_of, later, nothing_moves, pay, reference_of
from refunds import services
from refunds.models import Dispute, RefundLeg
from refunds.services import disputes
from refunds.tests.disputing import bank, dispute, heard_of, open_dispute, record, told


@pytest.fixture
def order(environment):
    return stories.paid_order(environment)


def staff(order):
    return actors.Actor(kind="staff", environment_id=order.environment_id, id="1", label="Ann")


def promised(order, amount: int) -> RefundLeg:
    """Promise a refund that is not sent."""
    with collecting():
        data = {"order_id": order.id, "amount_money": eur(amount)}
        return services.create_refund(data=data, actor=actor_in(order.environment)).legs.get()


class TestWithdrawn:
    """Money that is gone counts on the order at once; the order owes again, and nobody collects before staff decide."""

    def test_a_whole_payment(self, order):
        taken = dispute(order, reason="fraudulent")

        assert (taken.status, taken.case_type, taken.reason) == ("needs_response", "chargeback", "fraudulent")
        assert (taken.amount, taken.withdrawn_amount, taken.charged_back_amount) == (10_000, 10_000, 10_000)
        found = assert_books(
            order, paid=10_000, charged_back=10_000, refunded=0, credit=0, outstanding=10_000, payment_status="unpaid"
        )
        assert found.is_collection_blocked
        leg = order.payment_intents.get()
        assert (leg.status, leg.dispute_status, leg.charged_back_amount) == ("succeeded", "needs_response", 10_000)
        assert kinds_of(order)[-3:] == ["dispute.created", "dispute.funds_withdrawn", "dispute.needs_response"]

    def test_a_part_of_a_payment(self, order):
        dispute(order, 4_000)
        assert_books(order, charged_back=4_000, outstanding=4_000, payment_status="partially_paid")

    def test_an_inquiry_moves_nothing(self, order):
        asked = dispute(order, case_type="inquiry")

        assert asked.status == "warning_needs_response"
        assert not assert_books(order, charged_back=0, balance=0, payment_status="paid").is_collection_blocked
        assert order.payment_intents.get().dispute_status == "warning_needs_response"
        assert kinds_of(order)[-2:] == ["dispute.created", "dispute.needs_response"]

    def test_an_inquiry_that_grows_into_a_dispute(self, order):
        grown = bank(dispute(order, case_type="inquiry"), "escalate")

        assert (grown.status, grown.case_type) == ("needs_response", "chargeback")
        assert_books(order, charged_back=10_000, outstanding=10_000)

    def test_an_inquiry_that_is_closed(self, order):
        closed = bank(dispute(order, case_type="inquiry"), "close_warning")

        assert closed.status == "warning_closed"
        assert_books(order, charged_back=0, balance=0)
        assert kinds_of(order)[-2:] == ["dispute.warning_closed", "dispute.closed"]

    @pytest.mark.parametrize("end", ["win", "prevent"])
    def test_an_end_without_loss_gives_the_money_back(self, order, end):
        ended = bank(dispute(order), end)

        assert ended.status == {"win": "won", "prevent": "prevented"}[end]
        found = assert_books(order, charged_back=0, balance=0, payment_status="paid")
        assert not found.is_collection_blocked
        assert kinds_of(order)[-1] == "dispute.closed"
        assert balances(order) == {"receivable": 0, "processor": 10_000, "sales": -10_000}

    def test_evidence_is_news_that_moves_nothing(self, order):
        taken = dispute(order)
        assert taken.is_answerable and taken.evidence_due_at
        sent = bank(taken, "submit_evidence")

        assert (sent.status, sent.has_evidence, sent.evidence_submission_count) == ("under_review", True, 1)
        assert_books(order, charged_back=10_000)
        assert kinds_of(order)[-1] == "dispute.updated"

    def test_d034_a_debit_that_bounces_after_it_had_succeeded(self, api, environment):
        order = stories.open_order(environment, total=15_000)
        pay(api, order, DEBIT)
        assert_books(order, processor=False, paid=0, outstanding=15_000)
        stories.time_passes(environment, later(days=6))
        assert_books(order, paid=15_000, balance=0, payment_status="paid")

        dashboard.return_debit(environment_id=environment.id, reference=reference_of(order), code="R01")
        deliver_notices(environment)

        returned = Dispute.objects.get()
        assert (returned.status, returned.case_type, returned.reason) == ("lost", "bank_return", "insufficient_funds")
        found = assert_books(order, paid=15_000, charged_back=15_000, outstanding=15_000, payment_status="unpaid")
        assert found.is_collection_blocked and order.payment_intents.get().status == "succeeded"
        assert [kind for kind in kinds_of(order) if kind.startswith("payment.settled")] == ["payment.settled"]
        assert at_processor(order).refunds == []


class TestCapped:
    """An order never loses more than it has; what is beyond is a loss of the merchant's, booked and told."""

    def test_d111_a_dispute_of_the_whole_after_a_partial_refund(self, order):
        stories.refund(order, amount_money=eur(3_000))
        taken = dispute(order)
        assert (taken.charged_back_amount, taken.excess_amount) == (7_000, 3_000)
        assert_books(order, refunded=3_000, charged_back=7_000, credit=3_000, outstanding=7_000)
        assert balances(order)["dispute_losses"] == 3_000

        back = bank(taken, "reinstate", 3_000)
        assert (back.charged_back_amount, back.excess_amount) == (7_000, 0)
        lost = bank(back, "lose")
        disputes.write_off(dispute_id=lost.id, reason="The customer is right", actor=staff(order))

        found = assert_books(
            order, paid=10_000, refunded=3_000, charged_back=7_000, credit=10_000, balance=0, outstanding=0
        )
        assert (found.net_collected_amount, found.refund_status) == (0, "partially_refunded")
        assert balances(order).get("dispute_losses", 0) == 0

    def test_d112_a_dispute_larger_than_the_payment(self, order):
        taken = bank(dispute(order, 10_320), "lose")

        assert (taken.charged_back_amount, taken.excess_amount, taken.withdrawn_amount) == (10_000, 320, 10_320)
        assert_books(order, charged_back=10_000, outstanding=10_000)
        assert balances(order)["dispute_losses"] == 320
        disputes.write_off(dispute_id=taken.id, reason="Gone", actor=staff(order))
        assert_books(order, charged_back=10_000, credit=10_000, outstanding=0)

    def test_d112_a_dispute_in_the_customers_own_currency(self, order):
        taken = record(order, money=Money(11_100, "USD"), withdrawn_amount=10_320, status="lost")

        assert (taken.money, taken.excess_amount) == (Money(11_100, "USD"), 320)
        assert_books(order, processor=False, charged_back=10_000)
        assert order.events.get(type="dispute.created").data["disputed"] == Money(11_100, "USD").text()

    def test_two_disputes_of_one_payment(self, order):
        first, second = dispute(order, 6_000), dispute(order, 6_000)

        assert (first.charged_back_amount, second.charged_back_amount, second.excess_amount) == (6_000, 4_000, 2_000)
        assert_books(order, charged_back=10_000)
        bank(first, "win")
        assert_books(order, charged_back=4_000)
        assert order.payment_intents.get().dispute_status == "needs_response"
        # Asked about again, the second finds room for what it had beyond the order.
        disputes.ask_about_dispute(second.id, actor=actor_in(order.environment))
        second.refresh_from_db()
        assert (second.charged_back_amount, second.excess_amount) == (6_000, 0)
        assert_books(order, charged_back=6_000, outstanding=6_000)
        assert kinds_of(order)[-2:] == ["dispute.rebooked", "dispute.updated"]


class TestRefundsBeside:
    """Nothing goes back to a customer twice, and what has gone is booked truly."""

    def test_d114_only_what_is_not_disputed_can_be_refunded(self, api, order):
        taken = dispute(order, 4_000)
        with nothing_moves(order):
            refused = api.post("/v1/refunds", {"order_id": order.id, "amount_money": wire(eur(10_000))})
        assert (refused.status_code, refused.code) == (409, "PAYMENT_INTENT_DISPUTED")
        assert refused.error["maximum_money"] == wire(eur(6_000))

        stories.refund(order, amount_money=eur(6_000))
        assert_books(order, refunded=6_000, charged_back=4_000, credit=6_000, outstanding=4_000)
        with nothing_moves(order):
            nothing = api.post("/v1/refunds", {"order_id": order.id})
        assert nothing.code == "PAYMENT_INTENT_DISPUTED"

        disputes.write_off(dispute_id=bank(taken, "lose").id, reason="Lost", actor=staff(order))
        close_order(order_id=order.id, actor=staff(order))
        assert_books(order, refunded=6_000, charged_back=4_000, credit=10_000, balance=0, status="closed")
        assert [effect.amount for effect in at_processor(order).refunds] == [6_000]

    def test_money_that_is_not_withdrawn_yet_is_kept_too(self, api, order):
        dispute(order, 4_000, withdraws=False)
        refused = api.post("/v1/refunds", {"payment_intent_id": order.payment_intents.get().id})
        assert refused.status_code == 201, refused.content
        assert refused.data["amount_money"] == wire(eur(6_000))

    def test_after_a_loss_the_rest_is_free_and_no_more(self, api, order):
        bank(dispute(order, 4_000), "lose")
        refused = api.post("/v1/refunds", {"order_id": order.id, "amount_money": wire(eur(6_001))})
        assert (refused.code, refused.error["maximum_money"]) == ("AMOUNT_EXCEEDS_REFUNDABLE", wire(eur(6_000)))
        stories.refund(order, amount_money=eur(6_000))
        assert_books(order, refunded=6_000, charged_back=4_000)

    def test_an_inquiry_is_answered_by_a_refund(self, order):
        dispute(order, case_type="inquiry")
        stories.refund(order)
        assert_books(order, refunded=10_000, balance=0)

    def test_of_several_payments_the_disputed_one_comes_last(self, api, environment):
        order = stories.paid_order(environment, total=5_000)
        services_line(api, order, 5_000)
        pay(api, order)
        newest = order.payment_intents.order_by("-captured_at").first()
        dispute(order, 1_000, position=1)

        made = stories.refund(order, amount_money=eur(6_000))
        assert [leg.payment_intent_id == newest.id for leg in made.legs.order_by("position")] == [False, True]
        assert_books(order, refunded=6_000, charged_back=1_000)

    def test_a_promise_that_was_not_sent_yet_is_given_up(self, order):
        leg = promised(order, 10_000)
        taken = dispute(order)
        assert (taken.charged_back_amount, taken.excess_amount) == (0, 10_000)
        assert_books(order, refund_pending=10_000, charged_back=0)

        services.send_refund(leg.id, actor=actor_in(order.environment))

        leg.refresh_from_db()
        assert (leg.status, leg.failure_reason) == ("failed", "payment_disputed")
        assert at_processor(order).refunds == []
        taken.refresh_from_db()
        assert (taken.charged_back_amount, taken.excess_amount) == (10_000, 0)
        found = assert_books(order, refund_pending=0, refunded=0, charged_back=10_000, outstanding=10_000)
        assert found.is_collection_blocked and balances(order).get("dispute_losses", 0) == 0

    def test_a_refund_on_its_way_is_booked_and_the_rest_is_a_loss(self, order):
        with going_wrong(order, on="refund", fault="lose_answer"):
            stories.refund(order, amount_money=eur(4_000))
        taken = heard_of(open_dispute(order))
        assert_books(order, processor=False, refund_pending=4_000, charged_back=6_000)

        stories.time_passes(order.environment, later(minutes=2))

        taken.refresh_from_db()
        assert (taken.charged_back_amount, taken.excess_amount) == (6_000, 4_000)
        assert_books(order, refunded=4_000, charged_back=6_000)

    def test_a_refund_that_fails_late_makes_room(self, order):
        made = stories.refund(order, amount_money=eur(4_000))
        taken = dispute(order)
        assert taken.excess_amount == 4_000
        dashboard.fail_refund(environment_id=order.environment_id, reference=made.legs.get().reference)
        deliver_notices(order.environment)

        taken.refresh_from_db()
        assert (taken.charged_back_amount, taken.excess_amount) == (10_000, 0)
        assert_books(order, refunded=0, charged_back=10_000, credit=0)

    def test_a_refund_made_at_the_processor_that_is_learned_of_later(self, order):
        dashboard.refund(environment_id=order.environment_id, reference=reference_of(order), money=eur(3_000))
        taken = record(order, withdrawn_amount=10_000)
        assert taken.charged_back_amount == 10_000

        deliver_notices(order.environment)

        taken.refresh_from_db()
        assert (taken.charged_back_amount, taken.excess_amount) == (7_000, 3_000)
        assert_books(order, processor=False, refunded=3_000, charged_back=7_000)


class TestOldNews:
    """Notices repeat, overtake each other and get lost; the dispute ends where the processor says it is."""

    def test_d116_every_order_of_arrival_ends_the_same(self, environment):
        states = [
            {"status": "needs_response", "withdrawn_amount": 0},
            {"status": "needs_response", "withdrawn_amount": 3_500},
            {"status": "lost", "withdrawn_amount": 3_500},
        ]
        asked = [timezone.now() + timedelta(seconds=n) for n in range(3)]
        for arrival in permutations(range(3)):
            order = stories.paid_order(environment, total=3_500)
            for n in arrival:
                record(order, reference=f"dp_{order.id}", asked_at=asked[n], **states[n])

            taken = Dispute.objects.get(order=order)
            assert (taken.status, taken.withdrawn_amount, taken.movements.count()) == ("lost", 3_500, 1)
            assert_books(order, processor=False, charged_back=3_500)
            assert order.entries.filter(kind="dispute_withdrawn").count() == 1

    def test_an_earlier_stage_never_comes_back_and_is_asked_about(self, order):
        record(order, status="lost", withdrawn_amount=10_000)
        with nothing_moves(order):
            record(order, status="needs_response", withdrawn_amount=0)
        assert Dispute.objects.get().next_check_at <= timezone.now()

    def test_what_was_asked_for_earlier_never_undoes_what_is_known(self, order):
        now = timezone.now()
        record(order, status="won", withdrawn_amount=0, asked_at=now)
        with nothing_moves(order):
            record(order, status="lost", withdrawn_amount=10_000, asked_at=now - timedelta(seconds=1))

    def test_a_repeat_changes_nothing(self, order):
        taken = dispute(order)
        ProcessorNotice.objects.update(status="received", next_at=timezone.now(), handled_at=None)
        with nothing_moves(order):
            told(order, taken.reference)
            disputes.ask_about_dispute(taken.id, actor=actor_in(order.environment))

    def test_d117_lost_yesterday_won_today(self, order):
        lost = bank(dispute(order), "lose")
        assert_books(order, charged_back=10_000, outstanding=10_000)

        won = bank(lost, "win")
        assert won.status == "won"
        assert_books(order, charged_back=0, balance=0)
        stories.refund(order, amount_money=eur(10_000))
        assert_books(order, refunded=10_000, balance=0)

    def test_d117_the_end_is_read_back_without_any_notice(self, order):
        taken = dispute(order)
        bank(taken, "lose", tell=False)
        assert disputes.sweep(at=later(hours=1)) == 1
        taken.refresh_from_db()
        assert taken.status == "lost"
        bank(taken, "win", tell=False)
        assert disputes.sweep(at=later(hours=2)) == 0
        assert disputes.sweep(at=later(days=2)) == 1
        assert_books(order, charged_back=0, balance=0)
        # A dispute that stays ended is let go of in the end.
        for days in range(3, 100):
            disputes.sweep(at=later(days=days))
        taken.refresh_from_db()
        assert (taken.status, taken.next_check_at) == ("won", None)

    def test_d065_a_dispute_that_nobody_told_of_is_found(self, order):
        open_dispute(order, 4_000)
        reconcile(order, at=later(minutes=1))
        assert_books(order, charged_back=4_000)
        with nothing_moves(order):
            reconcile(order, at=later(hours=1))

    def test_money_that_is_not_known_yet_is_booked_first(self, environment):
        order = stories.open_order(environment)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            stories.pay(order)
        reference = dashboard_reference(order)
        dashboard.open_dispute(environment_id=environment.id, reference=reference)
        ProcessorNotice.objects.all().delete()
        deliver_notices(environment)
        assert_books(order, paid=10_000, charged_back=10_000, outstanding=10_000)

    def test_a_stranger_is_never_booked(self, order):
        with nothing_moves(order), pytest.raises(DoesNotFit):
            record(order, payment_reference="pi_of_somebody_else")
        record(order)
        other = stories.paid_order(order.environment)
        with nothing_moves(order, other), pytest.raises(DoesNotFit):
            record(other)

    def test_words_that_we_do_not_know_are_kept_general(self, order):
        taken = record(order, reason="aliens", case_type="duel")
        assert (taken.reason, taken.case_type) == ("general", "other")


def services_line(api, order, amount: int) -> None:
    added = api.post(
        f"/v1/orders/{order.id}/line-items",
        {"line_items": [{"name": "Tea", "unit_price_money": wire(eur(amount))}]},
    )
    assert added.status_code == 200, added.content


def reconcile(order, *, at) -> None:
    run = runs.begin_run(environment_id=order.environment_id, actor=actor_in(order.environment), at=at)
    runs.carry_out(run.id)


def dashboard_reference(order) -> str:
    return SandboxPayment.objects.get(order_id=order.id).pk
