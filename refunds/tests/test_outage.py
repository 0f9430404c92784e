"""
After an outage: no notice came, answers were lost, and people worked in the processor's dashboard meanwhile.

Only the object lists and questions are left. A sweep and a comparison bring both sides to the same end, and neither
moves money.
"""

import random
from datetime import timedelta

import pytest

from flint.errors import FlintError
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur, sweep
from orders.models import Order
from payments.models import PaymentOperation, ProcessorNotice
from payments.processors.base import ProcessorError
from payments.processors.sandbox import clock, dashboard, faults
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxPayment
from payments.tests.acts import (
    authenticate,
    capture,
    goes_through_after_all,
    going_wrong,
    hold,
    later,
    nothing_moves,
    pay,
    reference_of,
)
from payments.tests.reconciling import counts, differences, moved, reconcile
from refunds.models import Refund


def catch_up(environment, *, at=None) -> None:
    """What happens when the service is back: one sweep of what is not final, one comparison of all."""
    at = at or later(minutes=30)
    sweep(at=at)
    assert reconcile(environment, at=at).status == "succeeded"


def assert_agreed(environment) -> None:
    """Every order has what the processor has for it, to the cent, and so has the environment as a whole."""
    orders = Order.objects.filter(environment=environment)
    for order in orders:
        assert_books(order)
    booked = sum(order.net_collected_amount for order in orders)
    assert effects(environment.id).net == booked


def in_dashboard(environment, order) -> dict[str, str]:
    return {"environment_id": environment.id, "reference": reference_of(order)}


def test_d065_an_endpoint_that_was_down_for_days(environment, api):
    """Forty sales, five refunds in the dashboard, two disputes; none of it was told. Compared before it only."""
    reconcile(environment, at=later(minutes=-1))
    faults.plan(environment.id, on="notice", fault="drop", times=None)
    orders = [stories.open_order(environment, total=1_000) for _ in range(40)]
    for number, order in enumerate(orders):
        if number % 4:
            stories.pay(order)
        else:
            faults.plan(environment.id, on="confirm", fault="lose_answer")
            pay(api, order)
    for order in orders[:5]:
        state = PaymentOperation.objects.filter(payment_intent__order=order).get()
        reference = state.reference or _reference_there(order)
        dashboard.refund(environment_id=environment.id, reference=reference, money=eur(1_000))
    for order in orders[5:7]:
        dashboard.open_dispute(environment_id=environment.id, reference=_reference_there(order))
    before = moved(environment)

    catch_up(environment, at=later(days=4))

    for number, order in enumerate(orders):
        if number in (5, 6):
            assert_books(order, paid=1_000, charged_back=1_000, balance=1_000)
            continue
        gave_back = 1_000 if number < 5 else 0
        assert_books(order, paid=1_000, refunded=gave_back, credit=gave_back, balance=0, payment_status="paid")
    assert ProcessorNotice.objects.count() == 0
    assert (moved(environment), differences(environment)) == (before, []), "only reads"


def test_a_day_without_notices_with_answers_lost_and_hands_in_the_dashboard(environment, api):
    faults.plan(environment.id, on="notice", fault="drop", times=None)
    one, two, three, four, five, six = (stories.open_order(environment, total=10_000) for _ in range(6))
    # Paid, with the answer lost; then refunded in part by somebody in the dashboard.
    with going_wrong(one, on="confirm", fault="lose_answer"):
        pay(api, one)
    dashboard.refund(environment_id=environment.id, reference=_reference_there(one), money=eur(2_500))
    # Held here, a part of it captured in the dashboard.
    hold(api, two)
    dashboard.capture(**in_dashboard(environment, two), money=eur(6_000))
    # Held here, let go in the dashboard.
    hold(api, three)
    dashboard.cancel(**in_dashboard(environment, three))
    # Declined here, paid after all with another card.
    pay(api, four, "pm_card_chargeDeclined")
    goes_through_after_all(four)
    # The buyer confirmed on the bank's page and closed the window; the refund of ours was carried out, unanswered.
    asked = pay(api, five, "pm_card_threeDSecure2Required")
    authenticate(api, asked)
    # Paid and refunded by us, with the refund's answer lost and one in the dashboard beside it.
    stories.pay(six)
    with going_wrong(six, on="refund", fault="lose_answer"):
        stories.refund(six, amount_money=eur(3_000))
    dashboard.refund(**in_dashboard(environment, six), money=eur(3_000))
    before = moved(environment)

    catch_up(environment, at=later(days=1, hours=6))

    assert_books(one, paid=10_000, refunded=2_500, credit=2_500, balance=0)
    assert_books(two, paid=6_000, outstanding=4_000, payment_status="partially_paid", active_attempt_id="")
    assert_books(three, paid=0, outstanding=10_000, active_attempt_id="")
    assert_books(four, paid=10_000, balance=0)
    assert_books(five, paid=10_000, balance=0, active_attempt_id="")
    assert_books(six, paid=10_000, refunded=6_000, refund_pending=0, credit=6_000, balance=0)
    assert_agreed(environment)
    assert sorted(Refund.objects.values_list("origin", flat=True)) == ["flint", "processor", "processor"]
    assert (moved(environment), differences(environment)) == (before, [])

    with nothing_moves(one, two, three, four, five, six):
        again = reconcile(environment, at=later(days=1, hours=7))
    assert [again.counted(name) for name in ("imported", "differing", "new")] == [0, 0, 0]
    assert moved(environment) == before


def test_a_clock_that_was_moved_makes_no_difference(environment, api):
    """The processor's clock and ours are a quarter of an hour apart, around the edge of the window."""
    faults.plan(environment.id, on="notice", fault="drop", times=None)
    edge = later(days=-3)
    order = stories.paid_order(environment)
    PaymentOperation.objects.update(created_at=edge + timedelta(minutes=5))
    payment = dashboard_payment(order)
    payment.created_at = edge - timedelta(minutes=10)
    payment.save()

    run = reconcile(environment, since=edge)

    assert (counts(run, "payment"), differences(environment)) == ((1, 0, 0), [])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_d170_whatever_went_wrong_one_comparison_settles_it_and_the_next_finds_nothing(environment, api, seed):
    """Operations at random, every fault switched on now and then, every notice dropped; then all faults off."""
    chance = random.Random(seed)
    faults.plan(environment.id, on="notice", fault="drop", times=None)
    orders = [stories.open_order(environment, total=chance.randrange(500, 20_000)) for _ in range(12)]
    held: dict[str, tuple[str, str]] = {}
    for _ in range(80):
        if chance.random() < 0.3:
            on = chance.choice(["confirm", "capture", "refund", "retrieve"])
            faults.plan(environment.id, on=on, fault=chance.choice(["lose_answer", "never_executed", "unreachable"]))
        _something_happens(environment, api, chance.choice(orders), chance, held)
    stranger = dashboard.charge(environment_id=environment.id, money=eur(777))
    faults.clear(environment.id)
    faults.plan(environment.id, on="notice", fault="drop", times=None)

    for hours in (1, 2, 3):
        with_time = later(hours=hours)
        clock.advance(with_time, environment.id)
        catch_up(environment, at=with_time)

    for order in orders:
        assert_books(order, refund_pending=0)
    booked = sum(order.net_collected_amount for order in Order.objects.filter(environment=environment))
    assert effects(environment.id).net == booked + 777
    assert differences(environment) == [("payment", "not_ours", None, 777)], stranger.reference
    before = moved(environment)
    with nothing_moves(*orders):
        again = reconcile(environment, at=later(hours=4))
    assert [again.counted(name) for name in ("imported", "new")] == [0, 0]
    assert moved(environment) == before


def _something_happens(environment, api, order: Order, chance: random.Random, held: dict) -> None:
    """One thing that a buyer, the merchant's system or somebody in the dashboard does; it may be refused."""
    order.refresh_from_db()
    what = chance.choice(["pay", "pay", "hold", "capture", "refund", "refund there", "capture there", "cancel there"])
    try:
        match what:
            case "pay":
                pay(api, order, chance.choice(["pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined"]))
            case "hold" if not order.has_settled and not order.active_attempt_id:
                held[order.id] = hold(api, order)
            case "capture" if order.id in held:
                capture(api, order, *held[order.id])
            case "refund" if order.refundable_amount:
                stories.refund(order, amount_money=eur(chance.randint(1, order.refundable_amount)))
            case "refund there":
                money = eur(chance.randint(1, 2_000))
                dashboard.refund(environment_id=environment.id, reference=_reference_there(order), money=money)
            case "capture there":
                money = eur(chance.randint(1, order.total_amount))
                dashboard.capture(environment_id=environment.id, reference=_reference_there(order), money=money)
            case "cancel there":
                dashboard.cancel(environment_id=environment.id, reference=_reference_there(order))
    except (FlintError, ProcessorError, AssertionError, LookupError):
        # Refused here or there, or there was nothing to do it to: the next thing happens.
        return


def _reference_there(order: Order) -> str:
    """The processor's newest payment of an order, whether or not we know of it."""
    return dashboard_payment(order).reference


def dashboard_payment(order: Order) -> SandboxPayment:
    found = SandboxPayment.objects.filter(order_id=order.id).order_by("-created_at").first()
    if found is None:
        raise LookupError(order.id)
    return found
