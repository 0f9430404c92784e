"""Giving back through the real SDK over real HTTP."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flint.money import Money
from flint.testing.stories import eur
from payments.processors.base import Refused
from payments.processors.stripe.tests.calls import (
    capture,
    give_back,
    hold,
    pay,
    processor,
    refund_request,
    see_refund,
)

pytestmark = pytest.mark.django_db


def given_back(server) -> list[int]:
    return [refund["amount"] for refund in server.book.refunds.values() if refund["status"] != "failed"]


def test_money_goes_back_in_parts(stripe_server, stripe_environment):
    payment = pay(stripe_environment)
    request = refund_request(payment, eur(4_000))

    refund = processor.refund(request)
    rest = give_back(payment, eur(6_000))

    assert (refund.status, refund.money, rest.status) == ("succeeded", eur(4_000), "succeeded")
    assert (refund.operation_id, refund.environment_id) == (request.operation_id, stripe_environment.id)
    assert refund.payment_reference == payment.reference
    assert refund == see_refund(refund)
    assert given_back(stripe_server) == [4_000, 6_000]


@pytest.mark.parametrize(
    ("reason", "sent"), [("duplicate", "duplicate"), ("fraudulent", "fraudulent"), ("never_received", None), ("", None)]
)
def test_a_reason_is_passed_on_if_stripe_knows_it(stripe_server, stripe_environment, reason, sent):
    request = refund_request(pay(stripe_environment), eur(100), reason=reason)

    processor.refund(request)

    call = stripe_server.calls[-1]
    assert call.sent.get("reason") == sent
    assert call.idempotency_key == request.operation_id
    assert call.sent["metadata"] == {
        "flint_operation_id": request.operation_id,
        "flint_refund_id": request.refund_id,
        "flint_environment_id": stripe_environment.id,
    }


def test_more_than_is_left_is_refused(stripe_server, stripe_environment):
    payment = pay(stripe_environment)
    give_back(payment, eur(4_000))

    with pytest.raises(Refused) as more:
        give_back(payment, eur(6_001))
    give_back(payment, eur(6_000))
    with pytest.raises(Refused) as again:
        give_back(payment, eur(1))

    assert (more.value.code, again.value.code) == ("amount_too_large", "invalid_state")
    assert given_back(stripe_server) == [4_000, 6_000]


def test_what_was_not_captured_is_not_refunded(stripe_server, stripe_environment):
    part = capture(hold(stripe_environment), eur(6_000))

    with pytest.raises(Refused) as refusal:
        give_back(part, eur(6_001))
    assert refusal.value.code == "amount_too_large"
    with pytest.raises(Refused) as refusal:
        give_back(hold(stripe_environment), eur(100))
    assert refusal.value.code == "invalid_state"


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("charge_disputed", "payment_disputed"),
        ("refund_disputed_payment", "payment_disputed"),
        ("insufficient_funds", "insufficient_available_balance"),
        ("balance_insufficient", "insufficient_available_balance"),
    ],
)
def test_stripe_may_say_no(stripe_server, stripe_environment, code, ours):
    payment = pay(stripe_environment)
    stripe_server.faults.plan(on="refund", fault="error", status=400, code=code)

    with pytest.raises(Refused) as refusal:
        give_back(payment, eur(100))

    assert refusal.value.code == ours
    assert given_back(stripe_server) == []


def test_a_refund_may_fail_later(stripe_server, stripe_environment):
    payment = pay(stripe_environment, "pm_card_refundFail")
    refund = give_back(payment, eur(10_000))
    assert refund.status == "succeeded"

    stripe_server.advance(5 * 24 * 3600)

    failed = see_refund(refund)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert give_back(payment, eur(10_000)).status == "succeeded"


@pytest.mark.parametrize(("token", "currency"), [("pm_card_pendingRefund", "EUR"), ("pm_usBankAccount_success", "USD")])
def test_a_refund_may_take_days(stripe_server, stripe_environment, token, currency):
    payment = pay(stripe_environment, token, money=Money(10_000, currency))
    stripe_server.advance(5 * 24 * 3600)
    refund = give_back(payment, Money(10_000, currency))
    assert refund.status == "pending"

    stripe_server.advance(5 * 24 * 3600)

    assert see_refund(refund).status == "succeeded"


def test_a_repeated_refund_goes_back_once(stripe_server, stripe_environment):
    request = refund_request(pay(stripe_environment, "pm_card_refundFail"), eur(4_000))
    refund = processor.refund(request)
    stripe_server.book.fail_refund(refund.reference)

    again = processor.refund(request)

    assert again.reference == refund.reference
    assert again.status == "failed"
    assert len(stripe_server.book.refunds) == 1


def test_a_refund_is_found_by_its_operation(stripe_server, stripe_environment):
    since = datetime.now(UTC)
    payment = pay(stripe_environment)
    refund = give_back(payment, eur(100))
    for _ in range(12):
        give_back(payment, eur(10))

    def find(operation_id, **window):
        return processor.find_refund(environment_id=stripe_environment.id, operation_id=operation_id, **window)

    assert find(refund.operation_id, since=since) == refund
    assert find(refund.operation_id) == refund
    assert find("rfl_nothing", since=since) is None
    assert find("") is None
    assert find(refund.operation_id, since=since + timedelta(hours=1)) is None


def test_a_refund_that_is_not_there(stripe_server, stripe_environment):
    refund = give_back(pay(stripe_environment), eur(100))

    assert see_refund(replace(refund, reference="re_nothing")) is None
    assert see_refund(replace(refund, reference="")) is None


def test_a_refund_that_stripe_would_round_is_refused_before_it_is_sent(stripe_server, stripe_environment):
    payment = pay(stripe_environment, money=Money(10_000, "KWD"))

    with pytest.raises(Refused):
        give_back(payment, Money(5_001, "KWD"))

    assert len(stripe_server.moves()) == 1
