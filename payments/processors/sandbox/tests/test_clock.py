"""What happens by itself, when its time has come and not before."""

from datetime import timedelta

import pytest
from django.utils import timezone

from payments.processors.base import Refused
from payments.processors.sandbox import clock
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxNotice, SandboxPayment
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    at_once,
    cancel,
    capture,
    hold,
    pay,
    see,
)

pytestmark = pytest.mark.django_db


def after(**delta):
    return timezone.now() + timedelta(**delta)


def test_a_good_bank_debit_ends_well_after_a_while():
    payment = pay("pm_usBankAccount_success")

    assert clock.advance(after(seconds=2)) == 0
    assert see(payment).status == "processing"
    assert clock.advance(after(seconds=6)) == 1
    assert (see(payment).status, see(payment).captured_amount) == ("succeeded", 10_000)
    assert clock.advance(after(seconds=6)) == 0
    assert effects(ENVIRONMENT).charges.total == 10_000


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("accountClosed", "bank_account_closed"),
        ("noAccount", "bank_account_not_found"),
        ("insufficientFunds", "insufficient_funds"),
        ("debitNotAuthorized", "bank_debit_not_authorized"),
        ("accountRestricted", "bank_account_restricted"),
        ("limitExceeded", "bank_debit_limit_exceeded"),
    ],
)
def test_a_bad_bank_debit_fails_with_its_code(name, code):
    payment = pay(f"pm_usBankAccount_{name}")

    clock.advance(after(seconds=6))

    assert (see(payment).status, see(payment).error_code) == ("requires_payment_method", code)
    assert effects(ENVIRONMENT) == []


def test_one_bank_debit_never_ends():
    payment = pay("pm_usBankAccount_processing")

    clock.advance(after(days=30))

    assert see(payment).status == "processing"


def test_a_hold_lapses_after_seven_days():
    payment = hold()

    clock.advance(after(days=6))
    assert see(payment).status == "requires_capture"
    clock.advance(after(days=8))

    lapsed = see(payment)
    assert (lapsed.status, lapsed.cancellation_reason) == ("canceled", "authorization_expired")
    assert [effect.kind for effect in effects(ENVIRONMENT)] == ["authorization", "release"]
    with pytest.raises(Refused) as refusal:
        capture(payment, 10_000)
    assert refusal.value.code == "invalid_state"


def test_a_lapsed_hold_is_not_captured_even_before_anyone_noticed():
    payment = hold()
    SandboxPayment.objects.filter(reference=payment.reference).update(authorization_expires_at=timezone.now())

    with pytest.raises(Refused) as refusal:
        capture(payment, 10_000)

    assert refusal.value.code == "invalid_state"
    assert effects(ENVIRONMENT).charges == []


@pytest.mark.parametrize("end", [lambda payment: capture(payment, 5_000), cancel])
def test_a_hold_that_ended_does_not_lapse(end):
    payment = end(hold())

    clock.advance(after(days=8))

    assert see(payment) == payment
    assert [effect.kind for effect in effects(ENVIRONMENT)].count("release") == 1


def test_each_thing_happens_at_its_own_time_and_is_told():
    payment = pay("pm_usBankAccount_success")

    clock.advance(after(days=3))

    made_at = SandboxPayment.objects.get(reference=payment.reference).created_at
    told_at = SandboxNotice.objects.get(type="payment.succeeded").created_at
    assert told_at - made_at == timedelta(seconds=5)


def test_time_can_pass_for_one_environment():
    mine, theirs = pay("pm_usBankAccount_success"), pay("pm_usBankAccount_success", environment_id=OTHER_ENVIRONMENT)

    clock.advance(after(seconds=6), ENVIRONMENT)

    assert (see(mine).status, see(theirs).status) == ("succeeded", "processing")


@pytest.mark.django_db(transaction=True)
def test_two_clocks_at_once_move_a_payment_once():
    pay("pm_usBankAccount_success")
    at = after(seconds=6)

    moved = at_once(lambda: clock.advance(at), 3)

    assert sum(moved) == 1
    assert effects(ENVIRONMENT).charges.total == 10_000
