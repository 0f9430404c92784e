"""A processor that is away, and a day without any notice: work is late, and nothing is lost or done twice."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import network_of
from flint.testing.stories import actor_in, eur, sweep
from orders.models import Order
from payments import inbound, services
from payments.models import PaymentOperation
from payments.tests.acts import (
    DEBIT,
    DECLINED,
    THREE_D_SECURE,
    VISA,
    at_processor,
    attempts_of,
    authenticate,
    cancel,
    capture,
    charged,
    going_wrong,
    hold,
    later,
    nothing_moves,
    pay,
    reference_of,
)
from payments.tests.reconciling import differences, reconcile
from refunds.models import RefundLeg


def given_back(order: Order) -> list[int]:
    return [effect.amount for effect in at_processor(order).refunds]


@pytest.mark.processors("sandbox", "stripe")
class TestProcessorAway:
    """Nobody answers for hours, and then everything is as if it had only taken longer."""

    def test_what_was_begun_before_during_and_after_happens_once(self, api, environment):
        network = network_of(environment)
        paid, lost, never = (stories.paid_order(environment) for _ in range(3))
        held, let_go, waiting, unheard, unsent, new = (stories.open_order(environment) for _ in range(6))
        held_leg, let_go_leg = hold(api, held), hold(api, let_go)
        asked = pay(api, waiting, THREE_D_SECURE)
        with going_wrong(unheard, on="confirm", fault="lose_answer"):
            pay(api, unheard)
        with going_wrong(unsent, on="confirm", fault="never_executed"):
            pay(api, unsent)
        with going_wrong(lost, on="refund", fault="lose_answer"):
            stories.refund(lost, amount_money=eur(3_000))
        with going_wrong(never, on="refund", fault="never_executed"):
            stories.refund(never, amount_money=eur(3_000))
        authenticate(api, asked)

        with network.out_of_order():
            stories.refund(paid, amount_money=eur(4_000))
            failed = pay(api, new)
            assert capture(api, held, *held_leg).status_code == 503
            assert cancel(api, let_go, *let_go_leg).status_code == 503
            stories.deliver_notices(environment)
            for hours in range(1, 7):
                sweep(at=later(hours=hours))
            assert failed.data["payment_attempt"]["failure_code"] == "payment_method_temporarily_unavailable"
            for order in (held, let_go, waiting, unheard, unsent, new):
                assert_books(order, paid=0, outstanding=10_000, processor=False)
            assert_books(paid, paid=10_000, refunded=0, refund_pending=4_000)

        inbound.handle_waiting(at=later(hours=7))
        sweep(at=later(hours=8))
        sweep(at=later(hours=9))
        capture(api, held, *held_leg)
        cancel(api, let_go, *let_go_leg)
        for order in (unsent, new):
            pay(api, order)

        for order in (held, waiting, unheard, unsent, new):
            assert_books(order, paid=10_000, balance=0, payment_status="paid", active_attempt_id="")
            assert charged(order) == [10_000]
        assert_books(let_go, paid=0, outstanding=10_000, active_attempt_id="")
        for order, amount in ((paid, 4_000), (lost, 3_000), (never, 3_000)):
            assert_books(order, refunded=amount, refund_pending=0, credit=amount, balance=0)
            assert given_back(order) == [amount]
        assert not PaymentOperation.objects.filter(answered_at__isnull=True).exists()
        assert not RefundLeg.objects.filter(status="pending").exists()
        with nothing_moves(held, waiting, unheard, unsent, new, let_go, paid, lost, never):
            stories.deliver_notices(environment, at=later(hours=10))
            sweep(at=later(hours=20))


@pytest.mark.processors("sandbox", "faults", "stripe")
class TestNoticesAway:
    """Nobody hears anything for a day; asking, and comparing lists, finds all of it."""

    def test_d065_a_day_without_any_notice_is_made_up_for_by_asking_and_comparing(self, api, environment):
        network = network_of(environment)
        debited, waiting, captured, bounced, arrived, dashboard = (
            stories.open_order(environment, currency="USD") for _ in range(6)
        )
        pay(api, debited, DEBIT)
        asked = pay(api, waiting, THREE_D_SECURE)
        hold(api, captured)
        for order, token in ((bounced, "pm_card_refundFail"), (arrived, "pm_card_pendingRefund"), (dashboard, VISA)):
            pay(api, order, token)
        for order in (bounced, arrived):
            stories.refund(order)
        authenticate(api, asked)
        network.capture(reference_of(captured), stories.Money(6_000, "USD"))
        network.refund(reference_of(dashboard), stories.Money(2_500, "USD"))
        network.advance(later(hours=23))
        network.drop_notices()

        sweep(at=later(hours=24))
        sweep(at=later(hours=31))
        run = reconcile(environment, at=later(hours=32))

        assert (run.status, differences(environment)) == ("succeeded", [])
        ends = {
            debited: {"paid": 10_000, "balance": 0},
            waiting: {"paid": 10_000, "balance": 0},
            captured: {"paid": 6_000, "outstanding": 4_000},
            bounced: {"paid": 10_000, "refunded": 0, "balance": 0},
            arrived: {"paid": 10_000, "refunded": 10_000, "refund_pending": 0},
            dashboard: {"paid": 10_000, "refunded": 2_500},
        }
        for order, end in ends.items():
            assert_books(order, **end, active_attempt_id="")
        with nothing_moves(*ends):
            assert reconcile(environment, at=later(hours=33)).status == "succeeded"
            sweep(at=later(hours=40))


@dataclass
class Shop:
    """What goes on in a shop, one thing after the other, at random."""

    api: object
    environment: object
    random: random.Random
    orders: list[Order]

    def run(self, steps: int) -> None:
        verbs: list[Callable[[], object]] = [self.sell, self.sell, self.refund, self.hold_and_end, self.pay_late]
        for _ in range(steps):
            with self.maybe_misfortune():
                self.random.choice(verbs)()

    def maybe_misfortune(self):
        on, fault = self.random.choice(MISFORTUNES)
        return network_of(self.environment).going_wrong(on=on, fault=fault)

    def sell(self) -> None:
        order = stories.open_order(self.environment, total=self.random.randint(1_000, 20_000))
        self.orders.append(order)
        pay(self.api, order, self.random.choice([VISA, VISA, DECLINED, THREE_D_SECURE]))

    def pay_late(self) -> None:
        if self.orders:
            pay(self.api, self.random.choice(self.orders))

    def refund(self) -> None:
        if self.orders:
            order = self.random.choice(self.orders)
            order.refresh_from_db()
            left = order.paid_amount - order.refunded_amount - order.refund_pending_amount
            if left:
                stories.refund(order, amount_money=eur(self.random.randint(1, left)))

    def hold_and_end(self) -> None:
        order = stories.open_order(self.environment, total=self.random.randint(1_000, 20_000))
        self.orders.append(order)
        actor = actor_in(self.environment)
        leg = services.create_leg(order_id=order.id, data={"capture_method": "manual"}, actor=actor)
        chosen = [{"payment_intent_id": leg.id, "token": VISA}]
        body = {"action": "confirm_payment_intents", "payment_intents": chosen}
        self.api.post(f"/v1/orders/{order.id}/pay", body)
        order.refresh_from_db()
        end = self.random.choice([partial(capture, amount=order.total_amount // 2), capture, cancel])
        end(self.api, order, leg.id, order.active_attempt_id)


MISFORTUNES = [
    ("confirm", "lose_answer"),
    ("confirm", "never_executed"),
    ("confirm", "unreachable"),
    ("capture", "lose_answer"),
    ("capture", "never_executed"),
    ("cancel", "lose_answer"),
    ("cancel", "unreachable"),
    ("refund", "lose_answer"),
    ("refund", "never_executed"),
    ("refund", "unreachable"),
    ("retrieve", "unreachable"),
    ("notice", "drop"),
]


@pytest.mark.processors("stripe")
@pytest.mark.parametrize("seed", range(2))
def test_d170_after_any_misfortune_both_sides_come_to_agree_and_stay_so(api, environment, seed):
    shop = Shop(api, environment, random.Random(seed), [])
    shop.run(40)
    network = network_of(environment)
    network.drop_notices()

    for hours in (1, 2, 8):
        sweep(at=later(hours=hours))
    first = reconcile(environment, at=later(hours=9))

    assert (first.status, differences(environment)) == ("succeeded", [])
    for order in shop.orders:
        assert_books(order)
        assert "processing" not in attempts_of(order)
        assert sum(charged(order)) <= order.total_amount or not order.outstanding_amount
    made = network.keys()
    with nothing_moves(*shop.orders):
        second = reconcile(environment, at=later(hours=10))
        sweep(at=later(hours=20))
    assert (second.status, differences(environment), network.keys()) == ("succeeded", [], made)
