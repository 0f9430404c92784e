"""What the network keeps for the merchant: every movement once, its fee, and when it may be paid out."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from flint.money import Money
from payments.processors.base import BalanceState, Unreachable
from payments.processors.sandbox import clock, dashboard, faults
from payments.processors.sandbox.models import SandboxBalanceTransaction
from payments.processors.sandbox.tests.calls import ENVIRONMENT, OTHER_ENVIRONMENT, eur, network

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def charge(money=None, **changes):
    return dashboard.charge(**{"environment_id": ENVIRONMENT, "money": money or eur(10_000), "at": NOON, **changes})


def of(row) -> dict:
    return {"environment_id": row.environment_id, "reference": row.reference}


def movements(environment_id: str = ENVIRONMENT) -> list:
    """Every movement of the balance, newest first."""
    return list(
        network.list_balance_transactions(environment_id=environment_id, since=NOON - DAY, until=NOON + 99 * DAY)
    )


def shape(movement) -> tuple:
    return movement.type, movement.amount, movement.fee_amount, movement.net_amount


@pytest.mark.parametrize(
    ("money", "fee"),
    [
        (eur(5_000), 175),
        (eur(10_000), 320),
        (eur(50), 31),  # 1.45
        (eur(500), 45),  # 14.5, and halves go up
        (eur(1), 30),
        (Money(5_000, "JPY"), 175),
        (Money(5_000, "KWD"), 445),
    ],
)
def test_a_payment_comes_less_its_fee_and_two_days_later(money, fee):
    payment = charge(money)

    (movement,) = movements()

    assert shape(movement) == ("payment", money.amount, fee, money.amount - fee)
    assert (movement.currency, movement.source_kind, movement.source_reference) == (
        money.currency,
        "payment",
        payment.reference,
    )
    assert (movement.status, movement.occurred_at, movement.available_at) == ("pending", NOON, NOON + 2 * DAY)
    assert network.balances(environment_id=ENVIRONMENT) == [
        BalanceState(money.currency, available_amount=0, pending_amount=money.amount - fee)
    ]


def test_what_was_taken_becomes_available_when_its_time_has_come_and_not_before():
    charge()

    clock.advance(NOON + 2 * DAY - timedelta(seconds=1))
    assert network.balances(environment_id=ENVIRONMENT) == [BalanceState("EUR", 0, 9_680)]
    clock.advance(NOON + 2 * DAY)

    assert network.balances(environment_id=ENVIRONMENT) == [BalanceState("EUR", 9_680, 0)]
    assert [movement.status for movement in movements()] == ["available"]


def test_a_hold_moves_nothing_until_it_is_captured_and_then_what_was_taken():
    held = charge(capture_method="manual")
    assert movements() == []

    dashboard.capture(**of(held), money=eur(4_000), at=NOON)

    assert [shape(movement) for movement in movements()] == [("payment", 4_000, 146, 3_854)]


def test_a_refund_gives_no_fee_back_and_is_taken_at_once():
    payment = charge()

    refund = dashboard.refund(**of(payment), money=eur(4_000), at=NOON + DAY)

    newest = movements()[0]
    assert shape(newest) == ("refund", -4_000, 0, -4_000)
    assert (newest.source_kind, newest.source_reference, newest.status) == ("refund", refund.reference, "available")
    assert network.balances(environment_id=ENVIRONMENT) == [BalanceState("EUR", -4_000, 9_680)]


def test_a_refund_that_fails_comes_back_as_the_other_half_of_the_same_kind():
    payment = charge()
    refund = dashboard.refund(**of(payment), money=eur(4_000), at=NOON)

    dashboard.fail_refund(**of(refund), at=NOON + DAY)

    back, away, _ = movements()
    assert [shape(back), shape(away)] == [("refund", 4_000, 0, 4_000), ("refund", -4_000, 0, -4_000)]
    assert back.source_reference == away.source_reference == refund.reference


def test_a_refund_that_never_left_moves_nothing():
    payment = charge(token="pm_card_pendingRefund")
    refund = dashboard.refund(**of(payment), money=eur(4_000), at=NOON)

    dashboard.fail_refund(**of(refund), at=NOON)

    assert [movement.type for movement in movements()] == ["payment"]


def test_a_dispute_costs_a_fee_once_and_gives_it_back_with_the_last_of_the_money():
    payment = charge()
    dispute = dashboard.open_dispute(**of(payment), money=eur(6_000), at=NOON)
    dashboard.withdraw(**of(dispute), money=eur(500), at=NOON + 1 * DAY)
    dashboard.reinstate(**of(dispute), money=eur(1_000), at=NOON + 2 * DAY)
    dashboard.win(**of(dispute), at=NOON + 3 * DAY)
    dashboard.lose(**of(dispute), at=NOON + 4 * DAY)

    assert [shape(movement) for movement in movements()[:-1]] == [
        ("dispute", -6_000, 1_500, -7_500),
        ("dispute_reversal", 5_500, -1_500, 7_000),
        ("dispute_reversal", 1_000, 0, 1_000),
        ("dispute", -500, 0, -500),
        ("dispute", -6_000, 1_500, -7_500),
    ]
    assert {(movement.source_kind, movement.source_reference) for movement in movements()[:-1]} == {
        ("dispute", dispute.reference)
    }


def test_d034_a_returned_debit_costs_less_than_a_dispute():
    payment = charge(token="pm_usBankAccount_dispute")

    clock.advance(NOON + 5 * DAY)

    assert ("dispute", -10_000, 400, -10_400) in [shape(movement) for movement in movements()]
    assert [movement.source_reference for movement in movements()][-1] == payment.reference


def test_currencies_are_kept_apart():
    charge(eur(1_000))
    charge(Money(1_000, "USD"))
    charge(Money(2_000, "USD"), environment_id=OTHER_ENVIRONMENT)

    assert network.balances(environment_id=ENVIRONMENT) == [BalanceState("EUR", 0, 941), BalanceState("USD", 0, 941)]


def test_where_nothing_ever_moved_nothing_is_kept():
    assert network.balances(environment_id=ENVIRONMENT) == []


def test_movements_are_listed_by_when_they_happened():
    charge(at=NOON - timedelta(microseconds=1))
    charge(at=NOON)
    charge(at=NOON + DAY)

    listed = network.list_balance_transactions(environment_id=ENVIRONMENT, since=NOON, until=NOON + DAY)

    assert [movement.occurred_at for movement in listed] == [NOON]


@pytest.mark.parametrize(
    ("on", "call"), [("retrieve", lambda: network.balances(environment_id=ENVIRONMENT)), ("list", movements)]
)
def test_asking_can_fail(on, call):
    charge()
    faults.plan(ENVIRONMENT, on=on, fault="unreachable")

    with pytest.raises(Unreachable):
        call()

    assert call()


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(amount=1, net_amount=1),
        lambda rows: rows.update(occurred_at=NOON),
        lambda rows: rows.delete(),
    ],
)
def test_a_movement_of_the_balance_stays_as_it_was_booked(change):
    charge(at=NOON + DAY)

    with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
        change(SandboxBalanceTransaction.objects.all())


def test_the_database_checks_that_net_is_less_the_fee():
    with pytest.raises(IntegrityError), transaction.atomic():
        SandboxBalanceTransaction.objects.create(
            environment_id=ENVIRONMENT,
            type="payment",
            status="available",
            amount=100,
            fee_amount=30,
            net_amount=100,
            currency="EUR",
            source_kind="payment",
            source_reference="sbp_1",
            occurred_at=NOON,
            available_at=NOON,
        )
