"""The sweep: with no notice and no task at all, everything that is not final comes to its end."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import network_of
from flint.testing.stories import settled, sweep
from payments import services, tasks
from payments.models import PaymentAttempt, PaymentIntent
from payments.services import sweeping
from payments.services.attempts import FIRST_CHECK_AFTER, SLOWEST_CHECK
from payments.tests.acts import (
    DEBIT,
    THREE_D_SECURE,
    at_processor,
    attempts_of,
    authenticate,
    capture,
    charged,
    going_wrong,
    later,
    nothing_moves,
    pay,
)

pytestmark = pytest.mark.processors("sandbox", "stripe")


def test_d065_an_outage_of_all_notices_is_made_up_for(api, environment):
    orders = [stories.open_order(environment, total=1_000, currency="USD") for _ in range(12)]
    for order in orders[:4]:
        pay(api, order, DEBIT)
    for order in orders[4:8]:
        authenticate(api, pay(api, order, THREE_D_SECURE))
    for order in orders[8:]:
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)
    network_of(environment).advance(later(days=4))
    made = network_of(environment).keys()

    sweep(at=later(days=4))

    for order in orders:
        assert_books(order, paid=1_000, balance=0, payment_status="paid", active_attempt_id="")
        assert charged(order) == [1_000]
    assert set(network_of(environment).keys()) <= set(made)


def test_running_it_again_changes_nothing_and_asks_for_nothing(api, environment):
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)
    sweep(at=later(minutes=1))
    assert_books(order, paid=10_000)

    with nothing_moves(order):
        assert services.sweep(at=later(days=1)) == 0


def test_an_attempt_is_not_asked_about_before_its_time(api, environment):
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)

    with nothing_moves(order):
        assert services.sweep(at=timezone.now()) == 0

    assert services.sweep(at=timezone.now() + FIRST_CHECK_AFTER) == 1
    assert_books(order, paid=10_000)


def test_it_asks_ever_more_slowly_about_what_does_not_move(api, environment):
    order, at, waits = stories.open_order(environment), timezone.now(), []
    pay(api, order, THREE_D_SECURE)
    for _ in range(12):
        attempt = PaymentAttempt.objects.get(order=order)
        waits.append(attempt.next_check_at - at)
        at = attempt.next_check_at
        sweep(at=at)

    assert waits == sorted(waits)
    assert waits[0] <= timedelta(minutes=1)
    assert waits[-1] == SLOWEST_CHECK


def test_one_bad_row_never_stops_the_rest(api, environment):
    bad, good = stories.open_order(environment), stories.open_order(environment)
    for order in (bad, good):
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)
    PaymentIntent.objects.filter(order=bad).update(processor="gone")

    sweep(at=later(minutes=1))

    assert_books(good, paid=10_000)
    assert attempts_of(bad) == ["processing"]
    assert PaymentAttempt.objects.get(order=bad).next_check_at > later(minutes=1) - timedelta(seconds=30)


def test_calls_that_cannot_be_asked_about_keep_no_others_waiting(api, environment, monkeypatch):
    """More of them than are looked at in one turn: those that were looked at come last in the next."""
    monkeypatch.setattr(sweeping, "BATCH", 1)
    bad, good = (stories.held_order(environment) for _ in range(2))
    for order in (bad, good):
        leg = order.payment_intents.get().id
        with going_wrong(order, on="capture", fault="never_executed"):
            capture(api, order, leg, order.active_attempt_id)
    PaymentIntent.objects.filter(order=bad).update(processor="gone")

    for minutes in (20, 40, 60):
        sweep(at=later(minutes=minutes))

    assert capture(api, good, good.payment_intents.get().id, good.active_attempt_id).status_code == 200
    assert_books(good, paid=10_000)


def test_with_the_processor_out_of_reach_everything_waits(api, environment):
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)

    with going_wrong(order, on="retrieve", fault="unreachable", times=None), nothing_moves(order):
        for hour in range(1, 4):
            sweep(at=later(hours=hour))

    sweep(at=later(hours=5))
    assert_books(order, paid=10_000, payment_status="paid")
    assert charged(order) == [10_000]


@pytest.mark.parametrize("task", [tasks.sweep, tasks.handle_waiting_notices])
def test_the_beats_tasks_run_it(api, environment, task):
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)
    PaymentAttempt.objects.update(next_check_at=timezone.now())
    stories.deliver_notices(environment, handled=False)

    with settled():
        task.run()

    assert_books(order, paid=10_000)
    assert [effect.kind for effect in at_processor(order)] == ["charge"]
