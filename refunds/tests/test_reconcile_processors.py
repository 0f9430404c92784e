"""The comparison with every processor that Flint speaks to: what is done there by hand comes to the same end here."""

import pytest

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import network_of
from flint.testing.stories import eur
from payments.tests.acts import going_wrong, hold, later, nothing_moves, pay, reference_of
from payments.tests.reconciling import counts, differences, reconcile

pytestmark = pytest.mark.processors("sandbox", "stripe")


def compare(environment):
    """Compare a minute from now, by the processor's clock."""
    return reconcile(environment, at=network_of(environment.id).moment(later(minutes=1)))


def test_d083_a_refund_in_the_dashboard(environment):
    order = stories.paid_order(environment)
    network_of(environment.id).refund(reference_of(order), eur(1_500))

    run = compare(environment)

    assert (run.status, counts(run, "payment"), counts(run, "refund")) == ("succeeded", (1, 0, 0), (1, 1, 0))
    assert_books(order, paid=10_000, refunded=1_500, credit=1_500, balance=0)
    assert (order.refunds.get().origin, differences(environment)) == ("processor", [])
    with nothing_moves(order):
        again = compare(environment)
    assert (counts(again, "refund"), again.counted("imported")) == ((1, 0, 0), 0)


def test_d081_a_refund_of_ours_whose_answer_was_lost(environment):
    order = stories.paid_order(environment)
    with going_wrong(order, on="refund", fault="lose_answer"):
        stories.refund(order, amount_money=eur(4_000))

    run = compare(environment)

    assert counts(run, "refund") == (1, 1, 0)
    assert_books(order, refunded=4_000, refund_pending=0, credit=4_000)
    assert order.refunds.get().origin == "flint"


def test_d045_a_part_captured_in_the_dashboard(api, environment):
    order = stories.open_order(environment)
    hold(api, order)
    network_of(environment.id).capture(reference_of(order), eur(2_500))

    run = compare(environment)

    assert counts(run, "payment") == (1, 1, 0)
    assert_books(order, paid=2_500, outstanding=7_500, payment_status="partially_paid", active_attempt_id="")


def test_d036_a_hold_canceled_in_the_dashboard(api, environment):
    order = stories.open_order(environment)
    hold(api, order)
    network_of(environment.id).cancel(reference_of(order))

    compare(environment)

    assert_books(order, paid=0, outstanding=10_000, active_attempt_id="")


def test_d030_a_payment_whose_answer_was_lost(api, environment):
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)

    compare(environment)

    assert_books(order, paid=10_000, balance=0)


def test_a_payment_of_somebody_elses(environment):
    network_of(environment.id).charge(eur(700))

    run = compare(environment)

    assert (counts(run, "payment"), differences(environment)) == ((1, 0, 1), [("payment", "not_ours", None, 700)])


def test_a_list_that_cannot_be_had(environment):
    network = network_of(environment.id)
    with network.out_of_order():
        assert compare(environment).status == "failed"
    assert compare(environment).status == "succeeded"
