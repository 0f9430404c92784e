"""One operation id, one effect, however often and from wherever it is sent."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from payments.processors.base import PaymentState, RefundState, Refused
from payments.processors.sandbox import clock
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxPayment, SandboxRefund
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    at_once,
    cancel,
    capture,
    eur,
    give_back,
    hold,
    network,
    pay,
    payment_request,
    refund_request,
)

pytestmark = pytest.mark.django_db


def test_a_repeated_payment_is_the_same_payment_as_it_is_now():
    request = payment_request(capture_method="manual")
    payment = network.confirm(request)
    capture(payment, 6_000)

    again = network.confirm(request)

    assert again.reference == payment.reference
    assert (again.status, again.captured_amount) == ("succeeded", 6_000)
    assert SandboxPayment.objects.count() == 1


def test_a_repeated_decline_is_the_same_decline():
    request = payment_request("pm_card_chargeDeclined")

    assert network.confirm(request) == network.confirm(request)
    assert SandboxPayment.objects.count() == 1


@pytest.mark.parametrize(
    "change", [{"money": eur(9_999)}, {"token": "pm_card_amex"}, {"capture_method": "manual"}, {"order_id": "ord_2"}]
)
def test_the_same_id_for_another_payment_is_refused(change):
    request = payment_request()
    network.confirm(request)

    with pytest.raises(Refused) as refusal:
        network.confirm(replace(request, **change))

    assert refusal.value.code == "idempotency_mismatch"
    assert effects(ENVIRONMENT).charges.total == 10_000


def test_the_same_id_for_another_kind_of_call_is_refused():
    payment = hold()

    with pytest.raises(Refused) as refusal:
        capture(payment, 10_000, operation_id=payment.operation_id)

    assert refusal.value.code == "idempotency_mismatch"
    assert effects(ENVIRONMENT).charges == []


def test_the_same_id_in_another_environment_is_another_operation():
    request = payment_request()

    mine, theirs = network.confirm(request), network.confirm(replace(request, environment_id=OTHER_ENVIRONMENT))

    assert mine.reference != theirs.reference
    assert effects(ENVIRONMENT).charges.total == effects(OTHER_ENVIRONMENT).charges.total == 10_000


def test_a_repeated_capture_cancel_or_refund_has_one_effect():
    held, spare = hold(), hold()

    for _ in range(2):
        taken = capture(held, 6_000, operation_id="cap_1")
        gone = cancel(spare, operation_id="can_1")
    wish = refund_request(taken, 1_000)
    first, second = network.refund(wish), network.refund(wish)

    assert gone.status == "canceled"
    assert first == second
    assert [effect.amount for effect in effects(ENVIRONMENT).charges] == [6_000]
    assert [effect.amount for effect in effects(ENVIRONMENT).refunds] == [1_000]
    assert len(effects(ENVIRONMENT).of_kind("release")) == 2


def test_a_changed_refund_under_the_same_id_is_refused():
    wish = refund_request(pay(), 1_000)
    network.refund(wish)

    with pytest.raises(Refused) as refusal:
        network.refund(replace(wish, money=eur(2_000)))

    assert refusal.value.code == "idempotency_mismatch"
    assert effects(ENVIRONMENT).refunds.total == 1_000


def test_a_refusal_is_not_remembered():
    payment = pay(amount=10_000)
    wish = refund_request(payment, 10_000)
    other = give_back(pay("pm_card_refundFail"), 5)
    assert other.status == "succeeded"
    give_back(payment, 1)
    with pytest.raises(Refused):
        network.refund(wish)

    assert network.refund(replace(wish, money=eur(9_999))).status == "succeeded"


def test_an_id_is_forgotten_after_a_day():
    payment = pay()
    wish = refund_request(payment, 2_000)
    first = network.refund(wish)

    clock.advance(timezone.now() + timedelta(hours=23))
    assert network.refund(wish) == first
    clock.advance(timezone.now() + timedelta(hours=25))

    assert network.refund(wish).reference != first.reference
    assert effects(ENVIRONMENT).refunds.total == 4_000
    assert network.find_refund(environment_id=ENVIRONMENT, operation_id=wish.operation_id) == first


@pytest.mark.django_db(transaction=True)
def test_five_payments_at_once_with_one_id_are_one_charge():
    request = payment_request()

    answers = at_once(lambda: network.confirm(request), 5)

    assert all(isinstance(answer, PaymentState) for answer in answers)
    assert len({answer.reference for answer in answers}) == 1
    assert SandboxPayment.objects.count() == 1
    assert [effect.amount for effect in effects(ENVIRONMENT)] == [10_000]


@pytest.mark.django_db(transaction=True)
def test_five_refunds_at_once_with_one_id_are_one_refund():
    wish = refund_request(pay(), 1_000)

    answers = at_once(lambda: network.refund(wish), 5)

    assert all(isinstance(answer, RefundState) for answer in answers)
    assert SandboxRefund.objects.count() == 1
    assert effects(ENVIRONMENT).refunds.total == 1_000
