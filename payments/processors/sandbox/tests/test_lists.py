"""Going through a stretch of time: everything in it, newest first, and breaking off as planned."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments.processors.base import NoAnswer, Unreachable
from payments.processors.sandbox import dashboard, faults, lists
from payments.processors.sandbox.models import SandboxPayment
from payments.processors.sandbox.tests.calls import ENVIRONMENT, OTHER_ENVIRONMENT, eur, network

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def charge(at: datetime, **changes):
    return dashboard.charge(**{"environment_id": ENVIRONMENT, "money": eur(1_000), "at": at, **changes})


def payments(since: datetime, until: datetime) -> list:
    return list(network.list_payments(environment_id=ENVIRONMENT, since=since, until=until))


def test_a_window_holds_its_beginning_and_not_its_end_newest_first():
    charge(minute(0) - timedelta(microseconds=1))
    first, second = charge(minute(0)), charge(minute(1))
    charge(minute(2))
    charge(minute(1), environment_id=OTHER_ENVIRONMENT)

    assert payments(minute(0), minute(2)) == [second, first]


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("pm_card_visa", "succeeded"),
        ("pm_card_chargeDeclined", "requires_payment_method"),
        ("pm_card_threeDSecure2Required", "requires_action"),
        ("pm_usBankAccount_success", "processing"),
    ],
)
def test_a_payment_that_nobody_here_asked_for_is_listed_with_its_time(token, status):
    foreign = charge(minute(1), token=token)

    (listed,) = payments(minute(0), minute(2))

    assert listed == foreign
    assert (listed.status, listed.created_at) == (status, minute(1))
    assert listed.operation_id == listed.payment_intent_id == ""


def test_refunds_and_disputes_are_listed_by_their_own_time():
    payment = charge(minute(0))
    refunds = [
        dashboard.refund(environment_id=ENVIRONMENT, reference=payment.reference, money=eur(100), at=minute(number))
        for number in (5, 6, 7)
    ]
    disputes = [
        dashboard.open_dispute(
            environment_id=ENVIRONMENT, reference=payment.reference, money=eur(50), at=minute(number)
        )
        for number in (8, 9)
    ]
    window = {"environment_id": ENVIRONMENT, "since": minute(6), "until": minute(9)}

    assert list(network.list_refunds(**window)) == [refunds[2], refunds[1]]
    assert list(network.list_disputes(**window)) == [disputes[0]]
    assert {refund.created_at for refund in refunds} == {minute(5), minute(6), minute(7)}
    assert disputes[0].created_at == minute(8)


def test_a_long_list_comes_page_by_page_and_loses_nothing_in_between():
    # All but a few are of the same instant, so that the page's edge falls among equals.
    rows = [
        SandboxPayment(
            environment_id=ENVIRONMENT,
            amount=number + 1,
            currency="EUR",
            capture_method="automatic",
            behaviour="card_visa",
            source_type="card",
            client_secret=f"secret {number}",
            created_at=minute(1 + number // (2 * lists.PAGE)),
        )
        for number in range(2 * lists.PAGE + 50)
    ]
    SandboxPayment.objects.bulk_create(rows)
    newest = sorted(rows, key=lambda row: (row.created_at, row.reference), reverse=True)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = network.list_payments(environment_id=ENVIRONMENT, since=minute(0), until=minute(9))
        first = next(found)
        asked_for_one = len(queries)
        late = charge(minute(3))
        rest = list(found)

    assert [state.reference for state in (first, *rest)] == [row.reference for row in newest]
    assert late.reference not in {state.reference for state in rest}
    assert asked_for_one == 2, "one for the fault plan, one for the page"
    pages = [query for query in queries if "sandbox_sandboxpayment" in query["sql"] and "ORDER BY" in query["sql"]]
    assert len(pages) == 3
    assert all(f"LIMIT {lists.PAGE}" in query["sql"] for query in pages)


@pytest.mark.parametrize(("fault", "error"), [("unreachable", Unreachable), ("never_executed", NoAnswer)])
@pytest.mark.parametrize("after", [0, 2])
def test_a_list_can_break_off_on_the_way(fault, error, after):
    made = [charge(minute(number)) for number in range(4)]
    faults.plan(ENVIRONMENT, on="list", fault=fault, after=after)
    seen = []

    with pytest.raises(error):
        for payment in network.list_payments(environment_id=ENVIRONMENT, since=minute(0), until=minute(9)):
            seen.append(payment)

    assert seen == made[::-1][:after]
    assert payments(minute(0), minute(9)) == made[::-1]


def test_a_list_of_somebody_else_does_not_meet_the_misfortune():
    faults.plan(OTHER_ENVIRONMENT, on="list", fault="unreachable", times=None)

    assert payments(minute(0), minute(9)) == []
