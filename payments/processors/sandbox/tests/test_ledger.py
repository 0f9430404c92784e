"""The network's own ledger: only ever added to, and counted by tests everywhere."""

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from payments.processors.sandbox import dashboard
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxMovement, SandboxNotice, SandboxPayment
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    eur,
    give_back,
    hold,
    network,
    pay,
    see,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("change", [lambda rows: rows.update(amount=1), lambda rows: rows.delete()])
def test_a_movement_stays_as_it_was_booked(change):
    hold()

    with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
        change(SandboxMovement.objects.all())

    assert effects(ENVIRONMENT).of_kind("authorization").total == 10_000


@pytest.mark.parametrize(
    "change", [{"captured_amount": 10_001}, {"authorized_amount": 10_001}, {"refunded_amount": -1}]
)
def test_the_database_refuses_impossible_amounts(change):
    pay(amount=10_000)

    with pytest.raises(IntegrityError), transaction.atomic():
        SandboxPayment.objects.update(**change)


def test_effects_are_counted_per_environment_intent_and_order():
    first = pay(amount=1_000, payment_intent_id="pi_1", order_id="ord_1")
    pay(amount=2_000, payment_intent_id="pi_2", order_id="ord_1")
    pay(amount=4_000, payment_intent_id="pi_3", order_id="ord_2")
    pay(amount=8_000, environment_id=OTHER_ENVIRONMENT)
    give_back(first, 300)

    assert effects(ENVIRONMENT).net == 6_700
    assert effects(ENVIRONMENT, payment_intent_id="pi_1").net == 700
    assert effects(ENVIRONMENT, order_id="ord_1").net == 2_700
    assert len(effects(ENVIRONMENT, order_id="ord_1").charges) == 2
    assert effects(ENVIRONMENT, order_id="ord_1").refunds.total == 300


def test_what_is_done_at_the_dashboard_carries_no_operation_of_ours():
    held, spare, paid = hold(), hold(), pay()
    SandboxNotice.objects.all().delete()

    dashboard.capture(environment_id=ENVIRONMENT, reference=held.reference, money=eur(3_000))
    dashboard.cancel(environment_id=ENVIRONMENT, reference=spare.reference)
    refund = dashboard.refund(environment_id=ENVIRONMENT, reference=paid.reference, money=eur(500))
    foreign = dashboard.charge(environment_id=ENVIRONMENT, money=eur(700), payment_intent_id="someone-elses")

    assert (see(held).captured_amount, see(spare).status) == (3_000, "canceled")
    assert refund.operation_id == foreign.operation_id == ""
    assert network.retrieve_refund(environment_id=ENVIRONMENT, reference=refund.reference) == refund
    assert effects(ENVIRONMENT).net == 3_000 + 10_000 - 500 + 700
    assert list(SandboxNotice.objects.order_by("created_at", "id").values_list("type", flat=True)) == [
        "payment.succeeded",
        "payment.canceled",
        "refund.succeeded",
        "payment.succeeded",
    ]
