"""Giving back: at once, slowly, not at all, or only seemingly."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flint.money import Money
from payments.processors.base import Refused
from payments.processors.sandbox import accounts, clock
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxRefund
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    at_once,
    give_back,
    hold,
    network,
    pay,
    see_refund,
)

pytestmark = pytest.mark.django_db


def later() -> object:
    return timezone.now() + timedelta(seconds=6)


def test_a_part_is_given_back():
    payment = pay(amount=10_000)

    refund = give_back(payment, 4_000)

    assert (refund.status, refund.payment_reference) == ("succeeded", payment.reference)
    assert see_refund(refund) == refund
    assert effects(ENVIRONMENT).refunds.total == 4_000
    assert effects(ENVIRONMENT).net == 6_000


def test_no_more_is_given_back_than_was_taken():
    payment = pay(amount=10_000)
    give_back(payment, 4_000)

    with pytest.raises(Refused) as refusal:
        give_back(payment, 6_001)

    assert refusal.value.code == "amount_too_large"
    assert effects(ENVIRONMENT).refunds.total == 4_000
    assert give_back(payment, 6_000).status == "succeeded"


def test_the_network_can_be_told_not_to_check():
    accounts.allow_over_refund(ENVIRONMENT)
    payment = pay(amount=10_000)

    give_back(payment, 8_000)
    give_back(payment, 8_000)

    assert effects(ENVIRONMENT).net == -6_000


@pytest.mark.parametrize("token", ["pm_card_chargeDeclined", "pm_usBankAccount_success"])
def test_money_that_was_not_taken_is_not_given_back(token):
    payment = pay(token)

    with pytest.raises(Refused) as refusal:
        give_back(payment, 100)

    assert refusal.value.code == "invalid_state"
    assert effects(ENVIRONMENT) == []


def test_a_hold_is_not_refunded():
    with pytest.raises(Refused) as refusal:
        give_back(hold(), 100)

    assert refusal.value.code == "invalid_state"


def test_another_currency_is_refused():
    with pytest.raises(Refused) as refusal:
        give_back(pay(), 0, money=Money(100, "USD"))

    assert refusal.value.code == "currency_mismatch"
    assert effects(ENVIRONMENT).refunds == []


def test_a_payment_of_another_environment_is_not_found():
    with pytest.raises(Refused) as refusal:
        give_back(pay(), 100, environment_id=OTHER_ENVIRONMENT)

    assert refusal.value.code == "not_found"


def test_a_card_may_refuse_refunds():
    payment = pay("pm_card_refundRefused")

    with pytest.raises(Refused) as refusal:
        give_back(payment, 100)

    assert refusal.value.code == "insufficient_available_balance"
    assert not SandboxRefund.objects.exists()
    assert effects(ENVIRONMENT).net == 10_000


def test_a_slow_refund_arrives_later():
    refund = give_back(pay("pm_card_pendingRefund"), 4_000)
    assert refund.status == "pending"
    assert effects(ENVIRONMENT).refunds == []

    clock.advance(later())

    assert see_refund(refund).status == "succeeded"
    assert effects(ENVIRONMENT).refunds.total == 4_000


def test_a_slow_refund_counts_against_what_is_left():
    payment = pay("pm_card_pendingRefund", 10_000)
    give_back(payment, 6_000)

    with pytest.raises(Refused) as refusal:
        give_back(payment, 4_001)

    assert refusal.value.code == "amount_too_large"


def test_a_refund_may_succeed_and_bounce_later():
    payment = pay("pm_card_refundFail", 10_000)
    refund = give_back(payment, 10_000)
    assert refund.status == "succeeded"

    clock.advance(later())

    assert (see_refund(refund).status, see_refund(refund).failure_reason) == ("failed", "expired_or_canceled_card")
    assert effects(ENVIRONMENT).net == 10_000
    assert give_back(payment, 10_000).status == "succeeded"


def test_a_refund_is_found_by_its_operation_in_its_environment_only():
    refund = give_back(pay(), 100)

    assert network.find_refund(environment_id=ENVIRONMENT, operation_id=refund.operation_id) == refund
    assert network.find_refund(environment_id=ENVIRONMENT, operation_id="") is None
    assert network.find_refund(environment_id=OTHER_ENVIRONMENT, operation_id=refund.operation_id) is None
    assert network.retrieve_refund(environment_id=OTHER_ENVIRONMENT, reference=refund.reference) is None


@pytest.mark.django_db(transaction=True)
def test_refunds_at_once_never_exceed_what_was_taken():
    payment = pay(amount=10_000)

    answers = at_once(lambda: give_back(payment, 4_000), 4)

    assert sorted(type(answer).__name__ for answer in answers) == ["RefundState", "RefundState", "Refused", "Refused"]
    assert effects(ENVIRONMENT).refunds.total == 8_000
