"""Refunds at once, on a real database with real threads. The processor's own cap is off: only Flint's can save us."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, sweep, wire
from orders.models import Order
from payments.processors.sandbox.accounts import allow_over_refund
from payments.tests import acts
from payments.tests.acts import at_once, at_processor, later

ROUNDS = 50

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def generous_network(environment):
    allow_over_refund(environment.id)


def refund(api, order, **body):
    return api.post("/v1/refunds", {"order_id": order.id, **body})


def codes(answers: list) -> list[int]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return sorted(answer.status_code for answer in answers)


def test_refunding_the_whole_twice_gives_it_back_once(api, environment):
    for _ in range(ROUNDS):
        order = stories.paid_order(environment)
        with stories.collecting():
            answers = at_once(lambda order=order: refund(api, order), lambda order=order: refund(api, order))

        assert codes(answers) == [201, 400]
        assert {answer.code for answer in answers} == {None, "NOTHING_TO_REFUND"}
        assert_books(order, processor=False, refund_pending=10_000)
    sweep(at=later(seconds=1))
    for order in Order.objects.all():
        assert at_processor(order).refunds.total == 10_000
        assert_books(order, refunded=10_000, refund_pending=0, balance=0)


def test_d074_twenty_parts_at_once_never_exceed_what_was_paid(api, environment):
    for _ in range(4):
        order = stories.paid_order(environment)
        with stories.collecting():
            answers = at_once(*[lambda order=order: refund(api, order, amount_money=wire(eur(1_700)))] * 20)

        assert codes(answers) == [201] * 5 + [400] * 15
        sweep(at=later(seconds=1))
        assert at_processor(order).refunds.total == 8_500
        assert_books(order, refunded=8_500, refund_pending=0, credit=8_500, balance=0)


def test_refunding_while_a_second_payment_is_captured_keeps_both(api, environment):
    for _ in range(ROUNDS):
        order = stories.open_order(environment)
        first = acts.stage(api, order, 4_000)
        acts.confirm(api, order, first, completion_behavior="partial_payment")
        leg, attempt = acts.hold(api, order)
        with stories.collecting():
            answers = at_once(
                lambda order=order, leg=leg, attempt=attempt: acts.capture(api, order, leg, attempt),
                lambda order=order: refund(api, order, amount_money=wire(eur(4_000))),
            )

        assert codes(answers) == [200, 201]
        assert_books(order, processor=False, paid=10_000, refund_pending=4_000)
    sweep(at=later(seconds=1))
    for order in Order.objects.all():
        assert at_processor(order).net == 6_000
        assert_books(order, paid=10_000, refunded=4_000, credit=4_000, balance=0)


def test_one_leg_sent_by_two_workers_gives_back_once(api, environment):
    for _ in range(10):
        order = stories.paid_order(environment)
        with stories.collecting() as tasks:
            refund(api, order)
        [(task, kwargs)] = [found for found in tasks if found[0].name == "refunds.tasks.send_refund"]

        with stories.collecting():
            answers = at_once(*[lambda task=task, kwargs=kwargs: task.run(**kwargs)] * 4)

        assert answers == [None] * 4
        sweep(at=later(minutes=1))
        assert at_processor(order).refunds.total == 10_000
        assert_books(order, refunded=10_000, balance=0)
