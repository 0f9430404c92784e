"""Holds: taken once, in whole or in part, or let go."""

import pytest

from flint.money import Money
from payments.processors.base import Refused
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    at_once,
    cancel,
    capture,
    eur,
    hold,
    network,
    pay,
    see,
)

pytestmark = pytest.mark.django_db


def kinds() -> list[tuple[str, int]]:
    return [(effect.kind, effect.amount) for effect in effects(ENVIRONMENT)]


def test_a_whole_hold_is_taken():
    payment = capture(hold(amount=10_000), 10_000)

    assert (payment.status, payment.captured_amount) == ("succeeded", 10_000)
    assert kinds() == [("authorization", 10_000), ("charge", 10_000)]


def test_the_rest_of_a_part_capture_is_let_go():
    payment = capture(hold(amount=10_000), 6_000)

    assert (payment.status, payment.authorized_amount, payment.captured_amount) == ("succeeded", 10_000, 6_000)
    assert kinds() == [("authorization", 10_000), ("charge", 6_000), ("release", 4_000)]


def test_no_more_is_taken_than_was_held():
    payment = hold("pm_card_partialApproval", 20_000)

    with pytest.raises(Refused) as refusal:
        capture(payment, 16_001)

    assert refusal.value.code == "amount_too_large"
    assert see(payment) == payment
    assert kinds() == [("authorization", 16_000)]


def test_a_hold_is_taken_once():
    payment = hold()
    capture(payment, 6_000)

    with pytest.raises(Refused) as refusal:
        capture(payment, 1_000)

    assert refusal.value.code == "invalid_state"
    assert effects(ENVIRONMENT).charges.total == 6_000


@pytest.mark.parametrize(("money", "code"), [(Money(500, "USD"), "currency_mismatch"), (eur(0), "amount_too_small")])
def test_a_capture_names_a_real_amount_in_the_same_currency(money, code):
    payment = hold()

    with pytest.raises(Refused) as refusal:
        network.capture(environment_id=ENVIRONMENT, reference=payment.reference, operation_id="cap_1", money=money)

    assert refusal.value.code == code
    assert see(payment) == payment


@pytest.mark.parametrize("token", ["pm_card_visa", "pm_card_chargeDeclined", "pm_usBankAccount_success"])
def test_only_a_hold_is_captured(token):
    payment = pay(token)

    with pytest.raises(Refused) as refusal:
        capture(payment, 1_000)

    assert refusal.value.code == "invalid_state"
    assert see(payment) == payment


@pytest.mark.parametrize("act", [lambda payment: capture(payment, 100), cancel])
def test_a_payment_of_another_environment_is_not_found(act):
    payment = hold()
    foreign = hold(environment_id=OTHER_ENVIRONMENT)

    with pytest.raises(Refused) as refusal:
        act(type(foreign)(**{**_fields(foreign), "environment_id": ENVIRONMENT}))

    assert refusal.value.code == "not_found"
    assert see(payment).status == see(foreign).status == "requires_capture"


def test_a_hold_is_let_go():
    payment = cancel(hold(), reason="duplicate")

    assert (payment.status, payment.cancellation_reason) == ("canceled", "duplicate")
    assert kinds() == [("authorization", 10_000), ("release", 10_000)]


@pytest.mark.parametrize("token", ["pm_card_chargeDeclined", "pm_card_threeDSecure2Required"])
def test_a_payment_that_took_nothing_is_let_go(token):
    assert cancel(pay(token)).status == "canceled"
    assert kinds() == []


@pytest.mark.parametrize("token", ["pm_card_visa", "pm_usBankAccount_success"])
def test_a_payment_that_took_money_or_is_under_way_is_not_let_go(token):
    payment = pay(token)

    with pytest.raises(Refused) as refusal:
        cancel(payment)

    assert refusal.value.code == "invalid_state"
    assert see(payment) == payment


def test_what_was_let_go_before_stays_as_it_is():
    payment = cancel(hold(), reason="duplicate")

    again = cancel(payment, reason="abandoned")

    assert again.cancellation_reason == "duplicate"
    assert len(effects(ENVIRONMENT).of_kind("release")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_captures_at_once_take_one_hold():
    payment = hold()

    answers = at_once(lambda: capture(payment, 6_000), 4)

    assert sorted(type(answer).__name__ for answer in answers) == ["PaymentState", "Refused", "Refused", "Refused"]
    assert effects(ENVIRONMENT).charges.total == 6_000


def _fields(state) -> dict:
    return {name: getattr(state, name) for name in state.__dataclass_fields__}
