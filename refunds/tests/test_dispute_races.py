"""
Disputes at once with what else moves an order's money, on real PostgreSQL with real threads.

The network lets a disputed payment be refunded, so that only Flint keeps money from going back twice.
"""

from functools import partial
from typing import Any

import pytest

from flint import actors
from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, eur
from orders.models import Order
from payments import services as payments
from payments.processors.sandbox.accounts import allow_over_refund
from payments.tests.acts import at_once, at_processor, charged, ended, later
from refunds import services
from refunds.models import Dispute
from refunds.services import disputes
from refunds.tests.disputing import PROCESSOR, heard_of, open_dispute, record

ROUNDS = 25

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unprotected(environment):
    """Nobody but Flint watches over refunds, and no task runs by itself."""
    allow_over_refund(environment.id)
    with collecting():
        yield


def paid_orders(environment) -> list[Order]:
    return [stories.paid_order(environment) for _ in range(ROUNDS)]


def refund(order: Order, **data: Any) -> Any:
    """Promise a refund and send it, as a request and its task do."""
    actor = actor_in(order.environment)
    made = services.create_refund(data={"order_id": order.id, **data}, actor=actor)
    for leg in made.legs.all():
        services.send_refund(leg.id, actor=actor)
    return made


def pay(order: Order) -> Any:
    data = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}
    return payments.pay(order_id=order.id, data=data, actor=actor_in(order.environment))


def taken(order: Order) -> Dispute:
    return Dispute.objects.get(order=order)


def test_d114_a_dispute_arrives_while_the_payment_is_refunded(environment):
    for order in paid_orders(environment):
        state = open_dispute(order)

        ended(at_once(partial(heard_of, state), partial(refund, order)), "PAYMENT_INTENT_DISPUTED")

        found = taken(order)
        refunds = at_processor(order).refunds.total
        # Whoever came first: each unit is counted once on the order, and what went back twice is a loss that is told.
        assert found.withdrawn_amount == 10_000
        assert found.excess_amount == refunds
        assert_books(order, refunded=refunds, refund_pending=0, charged_back=10_000 - refunds)


def test_d116_two_notices_of_one_dispute_at_once(environment):
    for order in paid_orders(environment):
        state = open_dispute(order)

        results = ended(at_once(partial(heard_of, state), partial(heard_of, state), partial(heard_of, state)))

        assert len({row.id for row in results}) == 1
        assert taken(order).movements.count() == 1
        assert_books(order, charged_back=10_000, outstanding=10_000)
        assert order.events.filter(type="dispute.created").count() == 1


def test_d116_its_whole_life_at_once(environment):
    asked = [later(seconds=n) for n in range(3)]
    for order in paid_orders(environment):
        told = [
            partial(record, order, reference=order.id, asked_at=asked[0], status="needs_response", withdrawn_amount=0),
            partial(
                record, order, reference=order.id, asked_at=asked[1], status="needs_response", withdrawn_amount=10_000
            ),
            partial(record, order, reference=order.id, asked_at=asked[2], status="lost", withdrawn_amount=10_000),
        ]
        assert len(ended(at_once(*told))) == 3

        assert (taken(order).status, taken(order).movements.count()) == ("lost", 1)
        assert_books(order, processor=False, charged_back=10_000)


def test_two_disputes_of_one_payment_at_once(environment):
    for order in paid_orders(environment):
        states = [open_dispute(order, 6_000), open_dispute(order, 6_000)]

        assert len(ended(at_once(*(partial(heard_of, state) for state in states)))) == 2

        assert sorted(Dispute.objects.filter(order=order).values_list("excess_amount", flat=True)) == [0, 2_000]
        assert_books(order, charged_back=10_000)


def test_staff_decide_twice_at_once(environment):
    for order in paid_orders(environment):
        lost = record(order, reference=order.id, status="lost", withdrawn_amount=10_000)
        ann, ben = (actors.Actor(kind="staff", environment_id=environment.id, id=name) for name in ("ann", "ben"))
        decide = [
            partial(disputes.write_off, dispute_id=lost.id, reason="Gone", actor=ann),
            partial(disputes.write_off, dispute_id=lost.id, reason="Gone", actor=ben),
            partial(disputes.collect_again, dispute_id=lost.id, reason="Asked", actor=ben),
        ]

        assert len(ended(at_once(*decide), "DISPUTE_ALREADY_DECIDED")) == 1

        found = assert_books(order, processor=False, charged_back=10_000)
        assert not found.is_collection_blocked
        assert found.credit_amount == (10_000 if taken(order).decision == "write_off" else 0)
        assert order.events.filter(type__in=["dispute.written_off", "dispute.collected_again"]).count() == 1


def test_it_is_written_off_while_the_money_comes_back(environment):
    for order in paid_orders(environment):
        lost = record(order, reference=order.id, status="lost", withdrawn_amount=10_000)
        staff = actors.Actor(kind="staff", environment_id=environment.id, id="ann")
        back = partial(record, order, reference=order.id, status="won", withdrawn_amount=0, asked_at=later(minutes=1))

        ended(
            at_once(partial(disputes.write_off, dispute_id=lost.id, reason="Gone", actor=staff), back),
            "DISPUTE_ALREADY_DECIDED",
        )

        assert not assert_books(order, charged_back=0, credit=0, balance=0).is_collection_blocked


def test_nobody_collects_what_a_dispute_takes_at_that_moment(environment):
    for order in paid_orders(environment):
        state = open_dispute(order)

        ended(at_once(partial(heard_of, state), partial(pay, order)), "ORDER_ALREADY_PAID", "ORDER_NOT_PAYABLE")

        assert charged(order) == [10_000]
        assert assert_books(order, charged_back=10_000).is_collection_blocked


def test_a_disputed_payment_is_refunded_by_many_at_once(environment):
    for order in paid_orders(environment):
        state = open_dispute(order, 4_000)
        heard_of(state)
        sixty = partial(refund, order, amount_money=eur(6_000))

        kept = ended(at_once(sixty, sixty, sixty), "PAYMENT_INTENT_DISPUTED")

        assert len(kept) == 1
        assert at_processor(order).refunds.total == 6_000
        assert_books(order, refunded=6_000, charged_back=4_000)
        assert PROCESSOR.retrieve_dispute(environment_id=environment.id, reference=state.reference).status != "won"
