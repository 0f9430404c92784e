"""
Refunds at once, on real PostgreSQL with real threads: never more than was paid, never twice, never a 5xx or deadlock.

The network's own check on refunds is switched off, so that only Flint's protects the money.
"""

import random
from functools import partial
from typing import Any

import pytest

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from flint.testing.stories import actor_in, eur, line, settled, wire
from orders.models import Order
from orders.services import add_charge, add_line_items, close_order
from payments import inbound
from payments import services as payments
from payments.models import ProcessorNotice
from payments.processors.sandbox.accounts import allow_over_refund
from payments.tests.acts import at_once, at_processor, charged, ended, going_wrong, later, pay, rounds_of
from refunds import services
from refunds.models import RefundLeg

ROUNDS = 50

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unprotected(environment, processor):
    """Nobody but Flint watches over refunds, if the network can be told so, and no task runs by itself."""
    if processor != "stripe":
        allow_over_refund(environment.id)
    with collecting():
        yield


def refund(order: Order, **data: Any) -> Any:
    """Promise a refund and send it, as a request and its task do."""
    actor = actor_in(order.environment)
    made = services.create_refund(data={"order_id": order.id, **data}, actor=actor)
    for leg in made.legs.all():
        services.send_refund(leg.id, actor=actor)
    return made


def refunds_at_processor(order: Order) -> list[int]:
    return [effect.amount for effect in at_processor(order).refunds]


def paid_orders(environment, times: int = ROUNDS, **order: Any) -> list[Order]:
    return [stories.paid_order(environment, **order) for _ in range(rounds_of(environment, times))]


@pytest.mark.processors("sandbox", "faults", "stripe")
def test_refund_the_whole_twice(environment):
    for order in paid_orders(environment):
        kept = ended(at_once(partial(refund, order), partial(refund, order)), "NOTHING_TO_REFUND")

        assert len(kept) == 1
        assert refunds_at_processor(order) == [10_000]
        assert_books(order, refunded=10_000, refund_pending=0, credit=10_000, balance=0, refund_status="refunded")


@pytest.mark.processors("sandbox", "faults", "stripe")
def test_d074_two_refunds_that_only_fit_alone(environment):
    for order in paid_orders(environment):
        sixty = partial(refund, order, amount_money=eur(6_000))

        kept = ended(at_once(sixty, sixty), "AMOUNT_EXCEEDS_REFUNDABLE")

        assert len(kept) == 1
        assert refunds_at_processor(order) == [6_000]
        assert_books(order, refunded=6_000, credit=6_000, balance=0)


def test_d074_twenty_at_once_never_exceed_what_was_paid(environment):
    for order in paid_orders(environment, times=8, total=10_500):
        calls = [partial(refund, order, amount_money=eur(1_000)) for _ in range(20)]

        kept = ended(at_once(*calls), "AMOUNT_EXCEEDS_REFUNDABLE")

        assert len(kept) == 10
        assert refunds_at_processor(order) == [1_000] * 10
        assert_books(order, refunded=10_000, refund_pending=0, credit=10_000, balance=0)


def test_twenty_random_pieces_at_once_never_exceed_what_was_paid(environment):
    for seed in range(4):
        order = mixed_order(environment)
        rows = list(order.line_items.order_by("position"))
        chance = random.Random(seed)
        calls = [partial(refund, order, **piece(chance, order, rows)) for _ in range(20)]

        ended(at_once(*calls), *TOO_MUCH)

        order.refresh_from_db()
        given = sum(refunds_at_processor(order))
        assert 0 < given <= order.paid_amount
        assert_books(order, paid=order.total_amount, refunded=given, credit=given, refund_pending=0, balance=0)
        if order.refundable_amount:
            refund(order)
        assert sum(refunds_at_processor(order)) == order.total_amount
        assert_books(order, refunded=order.total_amount, credit=order.total_amount, refund_status="refunded")


TOO_MUCH = (
    "AMOUNT_EXCEEDS_REFUNDABLE",
    "NOTHING_TO_REFUND",
    "NOTHING_TO_REFUND_FOR_LINE_ITEM",
    "NOTHING_TO_REFUND_FOR_CHARGE",
    "LINE_ITEM_REFUND_QUANTITY_EXCEEDS_REFUNDABLE",
    "LINE_ITEM_REFUND_AMOUNT_EXCEEDS_REFUNDABLE",
    "CHARGE_REFUND_AMOUNT_EXCEEDS_REFUNDABLE",
)


def mixed_order(environment) -> Order:
    """An order of two lines, delivery and a tip, paid in two parts."""
    tip = {"amount_money": eur(97)}
    order = stories.open_order(environment, line(333, quantity=3), line(2_501), requested_tip=tip)
    fee = {"name": "Delivery", "type": "delivery_fee", "amount_money": eur(401)}
    order = add_charge(order_id=order.id, charge=fee, actor=actor_in(environment))
    pay_leg(order, 1_500)
    return stories.pay(order).order


def piece(chance: random.Random, order: Order, rows: list) -> dict[str, Any]:
    """Some units or an amount of a line, some of the delivery, or an amount of all."""
    row = chance.choice(rows)
    target = {"order_line_item_id": row.id}
    match chance.choice(["units", "line", "charge", "amount"]):
        case "units":
            return {"line_items": [{**target, "quantity": chance.randint(1, row.quantity)}]}
        case "line":
            return {"line_items": [{**target, "amount_money": eur(chance.randint(1, row.total_amount // 2))}]}
        case "charge":
            fee = {"order_charge_id": order.charges.get().id, "amount_money": eur(chance.randint(1, 300))}
            return {"charges": [fee]}
    return {"amount_money": eur(chance.randint(1, order.total_amount // 3))}


def test_units_of_one_line_are_given_back_once(environment):
    actor = actor_in(environment)
    for _ in range(20):
        order = stories.paid_order(environment, line(1_000, quantity=3))
        target = [{"order_line_item_id": order.line_items.get().id, "quantity": 2}]
        two = partial(services.create_refund, data={"order_id": order.id, "line_items": target}, actor=actor)

        assert len(ended(at_once(two, two), "LINE_ITEM_REFUND_QUANTITY_EXCEEDS_REFUNDABLE")) == 1

        assert_books(order, refund_pending=2_000)
        assert order.line_items.get().refund_pending_quantity == 2


def test_d076_the_same_key_twentyfold_over_http_is_one_refund(environment):
    clients = [client_of(environment) for _ in range(20)]
    for order in paid_orders(environment):
        body = {"order_id": order.id, "amount_money": wire(eur(2_000))}
        calls = [partial(client.post, "/v1/refunds", body, key=f"refund {order.id}") for client in clients]

        kept = ended(at_once(*calls), "IDEMPOTENCY_KEY_IN_PROGRESS")

        assert {answer.data["refund_id"] for answer in kept} == {order.refunds.get().id}
        assert_books(order, refund_pending=2_000, refunded=0)


@pytest.mark.processors("sandbox", "stripe")
def test_a_task_that_runs_several_times_at_once_sends_once(environment):
    actor = actor_in(environment)
    for order in paid_orders(environment, times=20):
        leg = services.create_refund(data={"order_id": order.id}, actor=actor).legs.get()
        send = partial(services.send_refund, leg.id, actor=actor)

        assert len(ended(at_once(send, send, send))) == 3
        services.send_refund(leg.id, actor=actor)

        assert refunds_at_processor(order) == [10_000]
        assert_books(order, refunded=10_000, refund_pending=0)


def test_refund_while_capturing(environment):
    actor = actor_in(environment)
    for _ in range(ROUNDS):
        order = stories.open_order(environment)
        paid, held = pay_leg(order, 4_000), pay_leg(order, 6_000, capture_method="manual")
        attempt = order.payment_attempts.get(completed_at=None).id
        data = {"order_payment_attempt_id": attempt, "amount_money": eur(5_000)}
        capture = partial(payments.capture, order_id=order.id, payment_intent_id=held, data=data, actor=actor)

        results = at_once(capture, partial(refund, order, payment_intent_id=paid))

        assert len(ended(results)) == 2
        assert (charged(order), refunds_at_processor(order)) == ([4_000, 5_000], [4_000])
        assert_books(order, paid=9_000, refunded=4_000, credit=4_000, outstanding=1_000, active_attempt_id="")


@pytest.mark.processors("sandbox", "stripe")
def test_refund_of_the_very_money_that_is_being_captured(environment):
    actor = actor_in(environment)
    for _ in range(rounds_of(environment, 20)):
        order = stories.held_order(environment)
        leg, data = order.payment_intents.get(), {"order_payment_attempt_id": order.active_attempt_id}
        capture = partial(payments.capture, order_id=order.id, payment_intent_id=leg.id, data=data, actor=actor)

        ended(at_once(capture, partial(refund, order)), "NO_PAYMENTS_FOR_ORDER")

        given = sum(refunds_at_processor(order))
        assert given in (0, 10_000)
        assert_books(order, paid=10_000, refunded=given, credit=given, refund_pending=0, active_attempt_id="")


def pay_leg(order: Order, amount: int, **leg: Any) -> str:
    """Pay a part of an order with a card, and return its payment intent."""
    actor = actor_in(order.environment)
    made = payments.create_leg(order_id=order.id, data={"amount_money": eur(amount), **leg}, actor=actor)
    chosen = [{"payment_intent_id": made.id, "token": "pm_card_visa"}]
    wanted = {"action": "confirm_payment_intents", "payment_intents": chosen, "completion_behavior": "partial_payment"}
    payments.pay(order_id=order.id, data=wanted, actor=actor)
    return made.id


def test_refund_while_the_second_payment_comes_in(environment):
    for order in paid_orders(environment):
        add_line_items(order_id=order.id, line_items=[line(500)], actor=actor_in(environment))

        results = at_once(partial(stories.pay, order), partial(refund, order, amount_money=eur(10_000)))

        assert len(ended(results)) == 2
        assert (charged(order), sum(refunds_at_processor(order))) == ([10_000, 500], 10_000)
        assert_books(order, paid=10_500, refunded=10_000, credit=10_000, balance=0, refund_pending=0)


def test_refund_while_closing(environment):
    actor = actor_in(environment)
    for order in paid_orders(environment, times=20):
        assert len(ended(at_once(partial(refund, order), partial(close_order, order_id=order.id, actor=actor)))) == 2

        assert_books(order, status="closed", refunded=10_000, credit=10_000, balance=0)


def test_the_notice_of_a_refund_against_its_answer(environment):
    actor = actor_in(environment)
    orders = paid_orders(environment, times=20)
    for order in orders:
        with going_wrong(order, on="refund", fault="lose_answer"):
            refund(order, amount_money=eur(3_000))
    stories.deliver_notices(environment, handled=False)
    told = list(ProcessorNotice.objects.filter(kind="refund").order_by("created_at", "id"))
    for order, notice in zip(orders, told, strict=True):
        leg = RefundLeg.objects.get(order=order)

        results = at_once(
            partial(services.ask_about_refund, leg.id, actor=actor),
            partial(inbound.handle, notice.id, at=later(minutes=1)),
            partial(services.send_refund, leg.id, actor=actor),
        )

        assert len(ended(results)) == 3
        assert_books(order, refunded=3_000, refund_pending=0, credit=3_000, balance=0)
        assert order.entries.filter(kind="refund").count() == 1
    assert set(ProcessorNotice.objects.filter(kind="refund").values_list("status", flat=True)) == {"handled"}


def test_a_refund_that_bounces_while_another_is_asked_for(environment, api):
    actor = actor_in(environment)
    for _ in range(20):
        order = stories.open_order(environment)
        pay(api, order)
        leg = services.create_refund(data={"order_id": order.id}, actor=actor).legs.get()
        fail = partial(services.record_refused, leg.id, reason="declined", actor=actor)
        again = partial(services.create_refund, data={"order_id": order.id}, actor=actor)

        results = at_once(fail, again)

        made = len(ended(results, "NOTHING_TO_REFUND")) - 1
        assert_books(order, refund_pending=10_000 * made, refunded=0)
        with settled():
            services.sweep(at=later(minutes=1))
        assert_books(order, refunded=10_000 * made, credit=10_000 * made, refund_pending=0)
