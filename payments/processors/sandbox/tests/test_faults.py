"""Misfortune on cue: each fault does exactly what its name says, as often as planned, and nowhere else."""

import time

import pytest

from payments.processors.base import NoAnswer, Refused, Unreachable
from payments.processors.sandbox import faults
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxPayment
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    at_once,
    cancel,
    capture,
    give_back,
    hold,
    network,
    pay,
    payment_request,
    see,
)

pytestmark = pytest.mark.django_db


def test_a_lost_answer_leaves_a_payment_to_be_found():
    faults.plan(ENVIRONMENT, on="confirm", fault="lose_answer")
    request = payment_request()

    with pytest.raises(NoAnswer):
        network.confirm(request)

    found = network.find_payment(environment_id=ENVIRONMENT, operation_id=request.operation_id)
    assert found.status == "succeeded"
    assert network.confirm(request) == found
    assert effects(ENVIRONMENT).charges.total == 10_000


def test_a_call_never_executed_looks_the_same_and_leaves_nothing():
    faults.plan(ENVIRONMENT, on="confirm", fault="never_executed")
    request = payment_request()

    with pytest.raises(NoAnswer):
        network.confirm(request)

    assert network.find_payment(environment_id=ENVIRONMENT, operation_id=request.operation_id) is None
    assert network.confirm(request).status == "succeeded"


def test_an_unreachable_network_does_nothing():
    faults.plan(ENVIRONMENT, on="confirm", fault="unreachable", times=2)

    for _ in range(2):
        with pytest.raises(Unreachable):
            pay()

    assert not SandboxPayment.objects.exists()
    assert pay().status == "succeeded"


def test_a_refusal_has_the_planned_code():
    faults.plan(ENVIRONMENT, on="confirm", fault="refuse", code="payment_blocked")

    with pytest.raises(Refused) as refusal:
        pay()

    assert refusal.value.code == "payment_blocked"
    assert not SandboxPayment.objects.exists()


def test_a_delayed_call_is_done_before_it_answers(monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", lambda seconds: waits.append((seconds, SandboxPayment.objects.count())))
    faults.plan(ENVIRONMENT, on="confirm", fault="delay", seconds=3)

    assert pay().status == "succeeded"
    assert pay().status == "succeeded"
    assert waits == [(3, 1)]


@pytest.mark.parametrize(
    ("on", "call"),
    [
        ("capture", lambda payment: capture(payment, 10_000)),
        ("cancel", cancel),
        ("retrieve", see),
    ],
)
def test_every_call_can_fail(on, call):
    payment = hold()
    faults.plan(ENVIRONMENT, on=on, fault="unreachable")

    with pytest.raises(Unreachable):
        call(payment)

    assert see(payment).status == "requires_capture"
    assert call(payment)


def test_a_lost_answer_to_a_refund_leaves_a_refund():
    payment = pay()
    faults.plan(ENVIRONMENT, on="refund", fault="lose_answer")

    with pytest.raises(NoAnswer):
        give_back(payment, 1_000)

    assert effects(ENVIRONMENT).refunds.total == 1_000


def test_a_permanent_fault_stays_until_it_is_cleared():
    faults.plan(ENVIRONMENT, on="confirm", fault="unreachable", times=None)
    for _ in range(3):
        with pytest.raises(Unreachable):
            pay()

    faults.clear(ENVIRONMENT)

    assert pay().status == "succeeded"


def test_plans_queue_up_and_keep_to_their_environment():
    faults.plan(ENVIRONMENT, on="confirm", fault="unreachable")
    faults.plan(ENVIRONMENT, on="confirm", fault="never_executed")

    assert pay(environment_id=OTHER_ENVIRONMENT).status == "succeeded"
    with pytest.raises(Unreachable):
        pay()
    with pytest.raises(NoAnswer):
        pay()
    assert pay().status == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_a_fault_planned_once_happens_once_however_many_call():
    faults.plan(ENVIRONMENT, on="confirm", fault="unreachable", times=2)

    answers = at_once(pay, 6)

    assert [type(answer) for answer in answers].count(Unreachable) == 2
    assert len(effects(ENVIRONMENT).charges) == 4


@pytest.mark.parametrize(
    ("on", "fault"), [("confirm", "drop"), ("notice", "refuse"), ("payout", "unreachable"), ("confirm", "explode")]
)
def test_what_cannot_happen_cannot_be_planned(on, fault):
    with pytest.raises(ValueError, match="cannot happen"):
        faults.plan(ENVIRONMENT, on=on, fault=fault)
