"""Resuming an attempt: it asks the processor how things stand, and says so."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import network_of
from flint.testing.stories import deliver_notices, eur, time_passes, wire
from orders.services import add_line_items
from payments.tests.acts import (
    DEBIT,
    DECLINED,
    THREE_D_SECURE,
    attempt_of,
    attempts_of,
    authenticate,
    cancel_attempt,
    charged,
    going_wrong,
    hold,
    later,
    nothing_moves,
    pay,
    reference_of,
    resume,
    secret_of,
)

pytestmark = pytest.mark.processors("sandbox", "faults", "stripe")


def test_before_the_buyer_has_acted_nothing_changes_and_the_step_stays_the_same(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)

    with nothing_moves(order):
        again = resume(api, order, attempt_of(asked))

    assert again.data["payment_attempt"]["status"] == "requires_action"
    assert secret_of(again) == secret_of(asked)
    assert again.data["payment_attempt"]["pending_actions"] == asked.data["payment_attempt"]["pending_actions"]


@pytest.mark.parametrize(("outcome", "status", "paid"), [("pass", "succeeded", 10_000), ("fail", "failed", 0)])
def test_after_the_buyer_has_acted_it_ends(api, environment, outcome, status, paid):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)
    authenticate(api, asked, outcome)

    done = resume(api, order, attempt_of(asked))

    assert done.data["payment_attempt"]["status"] == status
    assert_books(order, paid=paid, active_attempt_id="")


def test_an_attempt_under_way_or_held_is_shown_as_it_is(api, environment):
    debited, held = stories.open_order(environment, currency="USD"), stories.open_order(environment)
    under_way = attempt_of(pay(api, debited, DEBIT))
    _, waiting = hold(api, held)

    with nothing_moves(debited, held):
        assert resume(api, debited, under_way).data["payment_attempt"]["status"] == "processing"
        assert resume(api, held, waiting).data["payment_attempt"]["status"] == "requires_capture"


def test_an_attempt_that_succeeded_is_shown_again(api, environment):
    order = stories.open_order(environment)
    attempt = attempt_of(pay(api, order))

    with nothing_moves(order):
        again = resume(api, order, attempt)

    assert again.data["payment_attempt"]["status"] == "succeeded"


def test_an_attempt_that_failed_was_canceled_or_expired_is_refused(api, environment):
    failed, canceled, expired = (stories.open_order(environment) for _ in range(3))
    attempts = {"failed": (failed, attempt_of(pay(api, failed, DECLINED)))}
    asked = pay(api, canceled, THREE_D_SECURE)
    cancel_attempt(api, canceled, attempt_of(asked))
    attempts["canceled"] = (canceled, attempt_of(asked))
    _, held = hold(api, expired)
    time_passes(environment, later(days=8))
    attempts["expired"] = (expired, held)

    for status, (order, attempt) in attempts.items():
        with nothing_moves(order):
            refused = resume(api, order, attempt)
        assert (refused.status_code, refused.code) == (409, "PAYMENT_ATTEMPT_NOT_RESUMABLE")
        assert (refused.error["payment_attempt_status"], refused.error["is_resumable"]) == (status, False)


def test_the_guard_compares_with_the_balance_that_the_attempt_began_with(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)

    with nothing_moves(order):
        refused = resume(api, order, attempt_of(asked), expected_outstanding_money=wire(eur(9_000)))
    assert refused.code == "ORDER_CHANGED_REFRESH_REQUIRED"
    assert refused.error["expected_attempt_outstanding_money"] == wire(eur(10_000))

    authenticate(api, asked)
    deliver_notices(environment)
    add_line_items(order_id=order.id, line_items=[stories.line(500)], actor=stories.actor_in(environment))
    done = resume(api, order, attempt_of(asked), expected_outstanding_money=wire(eur(10_000)))
    assert done.data["payment_attempt"]["status"] == "succeeded"
    assert_books(order, total=10_500, paid=10_000, outstanding=500, payment_status="partially_paid")


def test_another_orders_attempt_or_a_strangers_is_not_found(api, other_api, environment):
    order, other = stories.open_order(environment), stories.open_order(environment)
    attempt = attempt_of(pay(api, order, THREE_D_SECURE))

    with nothing_moves(order, other):
        assert resume(api, other, attempt).status_code == 404
        assert resume(other_api, order, attempt).status_code == 404


def test_an_attempt_whose_answer_was_lost_is_resumable_and_settles(api, environment):
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        lost = pay(api, order)
    attempt = lost.data["payment_attempt"]
    assert (attempt["status"], attempt["is_resumable"]) == ("processing", True)

    done = resume(api, order, attempt_of(lost))

    assert done.data["payment_attempt"]["status"] == "succeeded"
    assert_books(order, paid=10_000)
    assert charged(order) == [10_000]


def test_with_the_processor_out_of_reach_the_attempt_stays_as_it_is(api, environment):
    order = stories.open_order(environment)
    asked = pay(api, order, THREE_D_SECURE)
    authenticate(api, asked)

    with going_wrong(order, on="retrieve", fault="unreachable", times=None), nothing_moves(order):
        assert resume(api, order, attempt_of(asked)).data["payment_attempt"]["status"] == "requires_action"

    resume(api, order, attempt_of(asked))
    assert_books(order, paid=10_000)


def test_d036_an_attempt_that_the_processor_gave_up_does_not_block_the_buyer(api, environment):
    order, second = stories.open_order(environment, total=6_500), stories.open_order(environment, total=6_500)
    for each in (order, second):
        pay(api, each, THREE_D_SECURE)
        give_up(each)

    pay(api, order)
    stories.sweep(at=later(minutes=30))

    assert attempts_of(order) == ["canceled", "succeeded"]
    assert_books(order, paid=6_500, balance=0)
    assert charged(order) == [6_500]
    assert attempts_of(second) == ["canceled"]
    assert_books(second, paid=0, outstanding=6_500, payment_status="unpaid", active_attempt_id="")


def give_up(order) -> None:
    """Have the processor cancel the payment that waits for its buyer, and never tell."""
    with going_wrong(order, on="notice", fault="drop", times=None):
        network_of(order.environment_id).cancel(reference_of(order), reason="abandoned")
        deliver_notices(order.environment)
