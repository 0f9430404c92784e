"""What becomes of a debt that a dispute left: nobody collects it until staff have decided, and then only once."""

import pytest

from flint import actors
from flint.testing import stories
from flint.testing.books import assert_books, balances
from flint.testing.stories import eur, wire
from orders.collecting import OrderPaymentAttemptActive
from orders.services import close_order
from payments.tests.acts import (
    THREE_D_SECURE,
    authenticate,
    charged,
    hold,
    kinds_of,
    nothing_moves,
    pay,
    reference_of,
    stage,
)
from refunds.services import disputes
from refunds.services.disputes.deciding import (
    DisputeAlreadyDecided,
    DisputeNotLost,
    DisputeReasonRequired,
    DisputeWithoutLoss,
)
from refunds.tests.disputing import bank, dispute

WHY = "Agreed on the phone"


@pytest.fixture
def order(environment):
    return stories.paid_order(environment)


@pytest.fixture
def staff(environment):
    return actors.Actor(kind="staff", environment_id=environment.id, id="7", label="Ann")


@pytest.fixture
def lost(order):
    return bank(dispute(order), "lose")


def write_off(subject, staff, reason: str = WHY):
    return disputes.write_off(dispute_id=subject.id, reason=reason, actor=staff)


def collect_again(subject, staff, reason: str = WHY):
    return disputes.collect_again(dispute_id=subject.id, reason=reason, actor=staff)


class TestBlocked:
    """An order that a dispute took money from cannot be paid, whichever way a payment begins."""

    def test_every_door_is_closed(self, api, order, lost):
        leg = order.payment_intents.get()
        with nothing_moves(order):
            for refused in (
                pay(api, order),
                api.post(f"/v1/orders/{order.id}/payment-intents", {}),
                api.post("/v1/checkout-sessions", {"order_id": order.id}),
            ):
                assert (refused.status_code, refused.code) == (409, "ORDER_NOT_PAYABLE"), refused.content
                assert (refused.error["reason"], refused.error["current_money"]) == (
                    "payment_disputed",
                    wire(eur(10_000)),
                )
        shown = api.get(f"/v1/orders/{order.id}").data
        assert shown["is_collection_blocked"] is True
        assert "payment_collection" not in shown
        seen = api.get(f"/v1/payment-intents/{leg.id}").data
        assert (seen["dispute_status"], seen["settlement_status"], seen["status"]) == ("lost", "disputed", "succeeded")
        assert charged(order) == [10_000]

    def test_an_order_without_a_dispute_says_nothing_of_it(self, api, order):
        assert "is_collection_blocked" not in api.get(f"/v1/orders/{order.id}").data
        leg = order.payment_intents.get()
        seen = api.get(f"/v1/payment-intents/{leg.id}").data
        assert (seen["dispute_status"], seen["settlement_status"]) == ("none", "none")

    def test_a_payment_under_way_is_booked_and_the_rest_stays_blocked(self, api, environment):
        order = stories.open_order(environment)
        pay(api, order)
        api.post(
            f"/v1/orders/{order.id}/line-items",
            {"line_items": [{"name": "Tea", "unit_price_money": wire(eur(2_000))}]},
        )
        waiting = pay(api, order, THREE_D_SECURE)
        dispute(order, position=0)
        authenticate(api, waiting)
        stories.deliver_notices(environment)

        found = assert_books(order, total=12_000, paid=12_000, charged_back=10_000, outstanding=10_000)
        assert found.is_collection_blocked and found.payment_status == "partially_paid"

    def test_money_back_unblocks(self, order):
        bank(dispute(order), "win")
        assert not assert_books(order, charged_back=0, balance=0).is_collection_blocked


class TestWriteOff:
    def test_nobody_owes_it_any_more(self, api, order, lost, staff):
        decided = write_off(lost, staff)

        assert (decided.decision, decided.written_off_amount) == ("write_off", 10_000)
        found = assert_books(order, charged_back=10_000, credit=10_000, balance=0, payment_status="paid")
        assert not found.is_collection_blocked
        assert balances(order) == {"receivable": 0, "processor": 0, "write_offs": 10_000, "sales": -10_000}
        event = order.events.get(type="dispute.written_off")
        assert (event.actor_label, event.data["text"], event.data["amount"]) == ("Ann", WHY, 10_000)
        assert pay(api, order).code == "ORDER_ALREADY_PAID"

    def test_only_what_is_owed_for_it(self, environment, staff):
        order = stories.paid_order(environment)
        stories.refund(order, amount_money=eur(3_000), balance_effect="reopen")
        taken = dispute(order, 2_000)
        assert_books(order, outstanding=5_000)
        write_off(taken, staff)
        assert_books(order, credit=2_000, outstanding=3_000)

    def test_money_that_comes_back_after_all_undoes_it(self, order, lost, staff):
        write_off(lost, staff)
        won = bank(lost, "win")

        assert won.written_off_amount == 0
        assert_books(order, charged_back=0, credit=0, balance=0, payment_status="paid")
        assert balances(order) == {"receivable": 0, "processor": 10_000, "write_offs": 0, "sales": -10_000}

    def test_a_part_that_comes_back_undoes_a_part(self, order, lost, staff):
        write_off(lost, staff)
        back = bank(lost, "reinstate", 4_000)

        assert (back.charged_back_amount, back.written_off_amount) == (6_000, 6_000)
        found = assert_books(order, charged_back=6_000, credit=6_000, balance=0)
        assert not found.is_collection_blocked

    def test_more_that_is_withdrawn_is_undecided_again(self, order, staff):
        taken = dispute(order, 4_000)
        write_off(taken, staff)
        more = bank(taken, "withdraw", 1_000)

        assert (more.decision, more.charged_back_amount, more.written_off_amount) == ("", 5_000, 4_000)
        assert assert_books(order, outstanding=1_000).is_collection_blocked
        write_off(more, staff)
        assert_books(order, credit=5_000, outstanding=0)

    def test_it_may_be_decided_before_the_bank_has(self, order, staff):
        write_off(dispute(order), staff)
        assert_books(order, credit=10_000, outstanding=0)


class TestCollectAgain:
    def test_it_is_owed_like_anything_else(self, api, order, lost, staff):
        decided = collect_again(lost, staff)

        assert decided.decision == "collect_again"
        assert not assert_books(order, charged_back=10_000, outstanding=10_000).is_collection_blocked
        pay(api, order)
        assert_books(order, paid=20_000, charged_back=10_000, balance=0, payment_status="paid")
        assert charged(order) == [10_000, 10_000]

    def test_not_while_the_money_may_come_back(self, order, staff):
        taken = dispute(order)
        with nothing_moves(order), pytest.raises(DisputeNotLost):
            collect_again(taken, staff)

    def test_money_that_comes_back_then_is_a_surplus(self, api, order, lost, staff):
        collect_again(lost, staff)
        pay(api, order)
        bank(lost, "win")
        assert_books(order, paid=20_000, charged_back=0, balance=-10_000, outstanding=0)


class TestNoteLoss:
    def test_it_waits_for_nobody_any_more_until_more_is_lost(self, order, staff):
        stories.refund(order, amount_money=eur(3_000))
        taken = dispute(order)
        assert taken.has_new_loss

        noted = disputes.note_loss(dispute_id=taken.id, reason=WHY, actor=staff)
        assert not noted.has_new_loss
        event = order.events.get(type="dispute.loss_noted")
        assert (event.data["amount"], event.data["text"], event.balance_delta_amount) == (3_000, WHY, 0)
        assert assert_books(order, charged_back=7_000, outstanding=7_000).is_collection_blocked
        assert bank(taken, "withdraw", 500).has_new_loss

    def test_there_is_none(self, order, staff):
        taken = dispute(order)
        with nothing_moves(order), pytest.raises(DisputeWithoutLoss):
            disputes.note_loss(dispute_id=taken.id, reason=WHY, actor=staff)
        stories.refund(other := stories.paid_order(order.environment), amount_money=eur(3_000))
        lost = dispute(other)
        disputes.note_loss(dispute_id=lost.id, reason=WHY, actor=staff)
        with nothing_moves(other), pytest.raises(DisputeWithoutLoss):
            disputes.note_loss(dispute_id=lost.id, reason=WHY, actor=staff)


class TestRefused:
    @pytest.mark.parametrize("decide", [write_off, collect_again])
    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\0b"])
    def test_without_a_reason(self, order, lost, staff, decide, reason):
        with nothing_moves(order), pytest.raises(DisputeReasonRequired):
            decide(lost, staff, reason)

    @pytest.mark.parametrize("decide", [write_off, collect_again])
    def test_twice(self, order, lost, staff, decide):
        write_off(lost, staff)
        with nothing_moves(order), pytest.raises(DisputeAlreadyDecided):
            decide(lost, staff)

    def test_when_the_money_is_back(self, order, staff):
        won = bank(dispute(order), "win")
        with nothing_moves(order), pytest.raises(DisputeAlreadyDecided):
            write_off(won, staff)

    def test_while_a_payment_is_open(self, api, environment, staff):
        order = stories.open_order(environment)
        pay(api, order)
        api.post(
            f"/v1/orders/{order.id}/line-items",
            {"line_items": [{"name": "Tea", "unit_price_money": wire(eur(2_000))}]},
        )
        hold(api, order)
        taken = dispute(order, position=0)
        with nothing_moves(order), pytest.raises(OrderPaymentAttemptActive):
            write_off(taken, staff)

    def test_by_somebody_elses_staff(self, order, lost, merchant):
        foreign = actors.Actor(kind="staff", environment_id="env_elsewhere", id="8")
        with nothing_moves(order), pytest.raises(Exception) as refusal:
            write_off(lost, foreign)
        assert refusal.value.code == "DISPUTE_NOT_FOUND"


class TestClosed:
    """Closing an order decides on what it owes then."""

    def test_d114_an_order_with_a_dispute_can_be_closed(self, order, staff):
        taken = dispute(order, 4_000)
        close_order(order_id=order.id, actor=staff)

        found = assert_books(order, status="closed", charged_back=4_000, credit=4_000, outstanding=0)
        assert not found.is_collection_blocked
        bank(taken, "submit_evidence")
        assert not assert_books(order, outstanding=0).is_collection_blocked

    def test_money_that_comes_back_to_it_is_no_surplus(self, order, staff):
        taken = dispute(order, 4_000)
        close_order(order_id=order.id, actor=staff)
        bank(taken, "win")

        assert_books(order, charged_back=0, credit=0, balance=0)
        assert balances(order)["write_offs"] == 0

    def test_what_else_it_wrote_off_stays_written_off(self, api, environment, staff):
        order = stories.open_order(environment)
        leg = stage(api, order, 6_000)
        api.post(
            f"/v1/orders/{order.id}/pay",
            {
                "action": "confirm_payment_intents",
                "completion_behavior": "partial_payment",
                "payment_intents": [{"payment_intent_id": leg, "token": "pm_card_visa"}],
            },
        )
        taken = dispute(order)
        close_order(order_id=order.id, actor=staff)
        assert_books(order, charged_back=6_000, credit=10_000, balance=0)
        bank(taken, "win")
        assert_books(order, charged_back=0, credit=4_000, balance=0)

    def test_one_that_is_disputed_later_waits_for_a_decision(self, order, staff):
        close_order(order_id=order.id, actor=staff)
        taken = dispute(order)
        assert assert_books(order, status="closed", outstanding=10_000).is_collection_blocked
        write_off(taken, staff)
        assert not assert_books(order, credit=10_000, outstanding=0).is_collection_blocked
        assert kinds_of(order)[-1] == "dispute.written_off"
        assert reference_of(order) == taken.operation.reference
