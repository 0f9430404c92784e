"""Going through what Stripe has of a stretch of time, so that it can be compared with what is known here."""

from datetime import UTC, datetime, timedelta

import pytest

from flint.ids import new_id
from flint.testing.stories import eur
from payments.processors.base import NoAnswer
from payments.processors.stripe.tests.calls import give_back, hold, pay, payment_request, processor

pytestmark = pytest.mark.django_db

VISA = {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}


def window(server, *, back: timedelta = timedelta(days=1)) -> dict:
    """A stretch of time up to a minute from Stripe's now."""
    now = datetime.fromtimestamp(server.clock.now(), UTC)
    return {"since": now - back, "until": now + timedelta(minutes=1)}


def listed(name, environment, server, **changes):
    found = getattr(processor, f"list_{name}")(environment_id=environment.id, **window(server) | changes)
    return list(found)


def test_payments_come_newest_first_with_all_there_is_to_compare(stripe_server, stripe_environment):
    request = payment_request(stripe_environment)
    processor.confirm(request)
    stripe_server.advance(2)
    held = hold(stripe_environment)

    newest, oldest = listed("payments", stripe_environment, stripe_server)

    assert newest.reference == held.reference
    assert (newest.status, newest.authorized_amount, newest.captured_amount) == ("requires_capture", 10_000, 0)
    assert newest.authorization_expires_at == held.authorization_expires_at
    assert (oldest.operation_id, oldest.payment_intent_id) == (request.operation_id, request.payment_intent_id)
    assert (oldest.captured_amount, oldest.source.last4, oldest.environment_id) == (
        10_000,
        "4242",
        stripe_environment.id,
    )
    assert oldest.created_at < newest.created_at


def test_what_nobody_here_asked_for_comes_too(stripe_server, stripe_environment):
    ours = pay(stripe_environment)
    book = stripe_server.book
    in_dashboard = book.create_intent(VISA).intent["id"]
    elsewhere = book.create_intent(
        VISA
        | {
            "payment_method": "pm_card_threeDSecure2Required",
            "metadata": {"flint_environment_id": "env_other", "flint_operation_id": "pop_other"},
        }
    ).intent["id"]
    book.create_refund({"payment_intent": in_dashboard, "amount": 100})

    found = {payment.reference: payment for payment in listed("payments", stripe_environment, stripe_server)}
    (refund,) = listed("refunds", stripe_environment, stripe_server)

    assert set(found) == {ours.reference, in_dashboard, elsewhere}
    assert (found[in_dashboard].operation_id, found[in_dashboard].environment_id) == ("", stripe_environment.id)
    assert (found[elsewhere].operation_id, found[elsewhere].environment_id) == ("pop_other", "env_other")
    assert found[elsewhere].status == "requires_action"
    assert found[elsewhere].action is None  # the secret of somebody else's payment
    assert (refund.operation_id, refund.payment_reference) == ("", in_dashboard)


def test_nothing_of_the_other_mode_comes(stripe_server, stripe_environment):
    foreign = pay(stripe_environment)
    kept = pay(stripe_environment)
    stripe_server.book.payments[foreign.reference].intent["livemode"] = True

    assert [state.reference for state in listed("payments", stripe_environment, stripe_server)] == [kept.reference]


@pytest.mark.parametrize(
    "unreadable", [{"status": "of_the_future"}, {"currency": "xqz"}, {"amount": 12_345, "currency": "all"}]
)
def test_one_row_that_cannot_be_told_does_not_stop_the_others(stripe_server, stripe_environment, unreadable):
    before, odd, after = (pay(stripe_environment) for _ in range(3))
    stripe_server.book.payments[odd.reference].intent |= unreadable

    found = listed("payments", stripe_environment, stripe_server)

    assert [state.reference for state in found] == [after.reference, before.reference]


def test_refunds_say_why_and_what_became_of_them(stripe_server, stripe_environment):
    payment = pay(stripe_environment, "pm_card_refundFail")
    refund = give_back(payment, eur(300), reason="duplicate")
    stripe_server.book.fail_refund(refund.reference)

    (found,) = listed("refunds", stripe_environment, stripe_server)

    assert (found.reference, found.operation_id) == (refund.reference, refund.operation_id)
    assert (found.status, found.failure_reason, found.reason) == ("failed", "lost_or_stolen_card", "duplicate")
    assert found.created_at == refund.created_at


def test_a_lapsed_hold_is_no_refund(stripe_server, stripe_environment):
    payment = pay(stripe_environment)
    refund = give_back(payment, eur(100))
    lapsed = give_back(payment, eur(200))
    stripe_server.book.refunds[lapsed.reference]["reason"] = "expired_uncaptured_charge"

    assert [state.reference for state in listed("refunds", stripe_environment, stripe_server)] == [refund.reference]


def test_stretches_that_touch_show_each_object_once(stripe_server, stripe_environment):
    start = datetime.fromtimestamp(stripe_server.clock.now(), UTC)
    made = []
    for _ in range(4):
        made.append(pay(stripe_environment).reference)
        stripe_server.advance(1)
    cuts = [start + timedelta(seconds=seconds) for seconds in (-1, 1.4, 2.0, 2.9, 60)]

    found = [
        state.reference
        for since, until in zip(cuts, cuts[1:], strict=False)
        for state in listed("payments", stripe_environment, stripe_server, since=since, until=until)
    ]

    assert sorted(found) == sorted(made)


def test_a_long_list_is_fetched_page_by_page_and_only_as_far_as_it_is_read(stripe_server, stripe_environment):
    for _ in range(250):
        stripe_server.book.create_intent({"amount": 500, "currency": "eur", "metadata": {}})

    found = processor.list_payments(environment_id=stripe_environment.id, **window(stripe_server))
    assert stripe_server.calls == []
    next(found)
    assert len(stripe_server.calls) == 1
    assert len(list(found)) == 249
    assert len(stripe_server.calls) == 3
    assert {call.sent["limit"] for call in stripe_server.calls} == {"100"}


def test_an_error_on_the_way_is_raised_as_of_any_call(stripe_server, stripe_environment):
    for _ in range(101):
        stripe_server.book.create_intent({"amount": 500, "currency": "eur", "metadata": {}})
    found = processor.list_payments(environment_id=stripe_environment.id, **window(stripe_server))
    for _ in range(100):
        next(found)
    stripe_server.faults.plan(on="list", fault="error", status=503)

    with pytest.raises(NoAnswer):
        next(found)


def test_every_list_asks_once_for_a_page_however_many_rows_it_has(stripe_server, stripe_environment):
    for _ in range(5):
        payment = pay(stripe_environment, "pm_card_createDispute")
    give_back(pay(stripe_environment), eur(100))
    stripe_server.advance(3 * 24 * 3600)
    stripe_server.book.pay_out()
    stripe_server.calls.clear()

    rows = {
        name: len(listed(name, stripe_environment, stripe_server, since=payment.created_at - timedelta(days=1)))
        for name in ("payments", "refunds", "disputes", "payouts", "balance_transactions")
    }

    assert rows == {"payments": 6, "refunds": 1, "disputes": 5, "payouts": 1, "balance_transactions": 13}
    assert len(stripe_server.calls) == 5


def test_lists_change_nothing(stripe_server, stripe_environment):
    pay(stripe_environment)
    stripe_server.calls.clear()

    for name in ("payments", "refunds", "disputes", "payouts", "balance_transactions"):
        listed(name, stripe_environment, stripe_server)

    assert stripe_server.moves() == []


def test_an_operation_is_found_among_what_others_made(stripe_server, stripe_environment):
    request = payment_request(stripe_environment)
    processor.confirm(request)
    for _ in range(120):
        stripe_server.book.create_intent({"amount": 500, "currency": "eur", "metadata": {"flint_operation_id": "x"}})

    found = processor.find_payment(environment_id=stripe_environment.id, operation_id=request.operation_id)

    assert found.payment_intent_id == request.payment_intent_id
    assert processor.find_payment(environment_id=stripe_environment.id, operation_id=new_id("pop")) is None
