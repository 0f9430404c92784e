"""What is paid to the merchant's bank: every night what is available, by hand what is asked for, and never twice."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flint.money import Money
from payments.processors.base import BalanceState, Refused, Unreachable
from payments.processors.sandbox import accounts, clock, dashboard, faults, notices
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxBalanceTransaction, SandboxNotice, SandboxPayout
from payments.processors.sandbox.tests.calls import ENVIRONMENT, OTHER_ENVIRONMENT, at_once, eur, network

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def charge(amount: int = 10_000, at: datetime = MONDAY + 12 * HOUR, **changes):
    return dashboard.charge(**{"environment_id": ENVIRONMENT, "money": eur(amount), "at": at, **changes})


def of(row) -> dict:
    return {"environment_id": row.environment_id, "reference": row.reference}


def payouts(environment_id: str = ENVIRONMENT) -> list:
    return list(network.list_payouts(environment_id=environment_id, since=MONDAY - DAY, until=MONDAY + 999 * DAY))


def settled_by(payout) -> list:
    """What an automatic payout paid out, whatever the window says."""
    return list(
        network.list_balance_transactions(
            environment_id=payout.environment_id, since=MONDAY, until=MONDAY, payout_reference=payout.reference
        )
    )


def kept() -> BalanceState:
    (balance,) = network.balances(environment_id=ENVIRONMENT)
    return balance


def told() -> list[str]:
    rows = SandboxNotice.objects.filter(kind="payout").order_by("created_at", "id")
    return [row.type.removeprefix("payout.") for row in rows]


def test_what_became_available_is_paid_out_at_midnight():
    payment = charge()

    clock.advance(MONDAY + 3 * DAY - timedelta(seconds=1))
    assert payouts() == []
    clock.advance(MONDAY + 3 * DAY)

    (payout,) = payouts()
    assert (payout.money, payout.status, payout.is_automatic) == (eur(9_680), "pending", True)
    assert (payout.created_at, payout.arrives_at) == (MONDAY + 3 * DAY, MONDAY + 4 * DAY)
    assert [movement.source_reference for movement in settled_by(payout)] == [payment.reference]
    assert kept() == BalanceState("EUR", 0, 0)
    assert network.retrieve_payout(**of(payout)) == payout


def test_a_payout_leaves_and_arrives_in_its_own_time():
    charge()
    steps = []

    for at in (3 * DAY, 3 * DAY + HOUR, 4 * DAY - timedelta(seconds=1), 4 * DAY, 9 * DAY):
        clock.advance(MONDAY + at)
        steps.append(payouts()[0].status)

    assert steps == ["pending", "in_transit", "in_transit", "paid", "paid"]
    assert told() == ["created", "updated", "paid"]


def test_time_that_jumps_pays_out_night_by_night():
    for day in range(5):
        charge(1_000 * (day + 1), at=MONDAY + day * DAY)
    charge(700, at=MONDAY + 3 * HOUR, environment_id=OTHER_ENVIRONMENT)

    clock.advance(MONDAY + 30 * DAY)

    nights = [(payout.created_at, payout.money.amount, payout.status) for payout in reversed(payouts())]
    assert nights == [
        (MONDAY + (day + 3) * DAY, amount - (amount * 29 // 1000) - 30, "paid")
        for day, amount in enumerate((1_000, 2_000, 3_000, 4_000, 5_000))
    ]
    assert [payout.money for payout in payouts(OTHER_ENVIRONMENT)] == [eur(650)]
    assert clock.advance(MONDAY + 30 * DAY) == 0


def test_an_automatic_payout_says_exactly_what_it_paid_out():
    payment = charge(at=MONDAY)
    refund = dashboard.refund(**of(payment), money=eur(1_000), at=MONDAY + 2 * DAY)
    dispute = dashboard.open_dispute(**of(payment), money=eur(2_000), at=MONDAY + 2 * DAY)
    charge(5_000, at=MONDAY + DAY + HOUR)
    clock.advance(MONDAY + 3 * DAY)

    (payout,) = payouts()
    movements = settled_by(payout)

    assert {movement.source_reference for movement in movements} == {
        payment.reference,
        refund.reference,
        dispute.reference,
    }
    assert sum(movement.net_amount for movement in movements) == payout.money.amount == 9_680 - 1_000 - 3_500
    assert kept() == BalanceState("EUR", available_amount=0, pending_amount=4_825)


def test_less_than_nothing_is_not_paid_out_and_counts_the_next_night():
    payment = charge(1_000, at=MONDAY)
    dashboard.open_dispute(**of(payment), at=MONDAY + 2 * DAY)

    clock.advance(MONDAY + 5 * DAY)
    assert payouts() == []
    assert kept() == BalanceState("EUR", -1_559, 0)
    charge(10_000, at=MONDAY + 5 * DAY)
    clock.advance(MONDAY + 9 * DAY)

    (payout,) = payouts()
    assert payout.money == eur(9_680 - 1_559)
    assert len(settled_by(payout)) == 3


def test_currencies_are_paid_out_apart():
    charge(money=eur(1_000))
    charge(money=Money(1_000, "USD"))

    clock.advance(MONDAY + 4 * DAY)

    assert sorted(str(payout.money) for payout in payouts()) == ["$9.41", "€9.41"]


def test_an_environment_can_be_paid_out_by_hand_only():
    accounts.pay_out_daily(ENVIRONMENT, False)
    charge()

    clock.advance(MONDAY + 9 * DAY)
    assert payouts() == []
    payout = dashboard.pay_out(environment_id=ENVIRONMENT, money=eur(4_000), description="Rent", at=MONDAY + 9 * DAY)

    assert (payout.is_automatic, payout.status, payout.description) == (False, "pending", "Rent")
    assert kept() == BalanceState("EUR", 5_680, 0)
    assert settled_by(payout) == []
    clock.advance(MONDAY + 11 * DAY)
    assert network.retrieve_payout(**of(payout)).status == "paid"


@pytest.mark.parametrize(
    ("money", "code"),
    [
        (eur(9_681), "insufficient_available_balance"),
        (Money(1, "USD"), "insufficient_available_balance"),
        (eur(0), "amount_too_small"),
    ],
)
def test_no_more_is_paid_out_by_hand_than_is_available(money, code):
    accounts.pay_out_daily(ENVIRONMENT, False)
    charge(at=MONDAY)
    charge(at=MONDAY + 2 * DAY)
    clock.advance(MONDAY + 3 * DAY)

    with pytest.raises(Refused) as refusal:
        dashboard.pay_out(environment_id=ENVIRONMENT, money=money)

    assert refusal.value.code == code
    assert (payouts(), kept().available_amount) == ([], 9_680)


@pytest.mark.parametrize("wait", [timedelta(), 2 * HOUR, 5 * DAY])
def test_a_payout_that_fails_brings_the_money_back(wait):
    charge()
    clock.advance(MONDAY + 3 * DAY)
    (payout,) = payouts()
    clock.advance(MONDAY + 3 * DAY + wait)

    failed = dashboard.fail_payout(**of(payout), code="no_account", at=MONDAY + 3 * DAY + wait)

    assert (failed.status, failed.failure_code) == ("failed", "no_account")
    assert "located" in failed.failure_message
    assert kept() == BalanceState("EUR", 9_680, 0)
    assert told()[-1] == "failed"
    with pytest.raises(Refused) as refusal:
        dashboard.fail_payout(**of(payout))
    assert refusal.value.code == "invalid_state"
    assert kept().available_amount == 9_680
    # What came back goes out again the next night, as its own movement.
    clock.advance(MONDAY + 20 * DAY)
    again = payouts()[0]
    assert again.money == payout.money
    assert [movement.type for movement in settled_by(again)] == ["payout_failure"]
    assert [movement.type for movement in settled_by(payout)] == ["payment"]


def test_a_payout_is_called_back_until_it_has_left():
    charge()
    clock.advance(MONDAY + 3 * DAY)
    (payout,) = payouts()

    canceled = dashboard.cancel_payout(**of(payout), at=MONDAY + 3 * DAY)

    assert (canceled.status, kept()) == ("canceled", BalanceState("EUR", 9_680, 0))
    clock.advance(MONDAY + 4 * DAY + 2 * HOUR)
    again = payouts()[0]
    assert again.status == "in_transit"
    with pytest.raises(Refused) as refusal:
        dashboard.cancel_payout(**of(again))
    assert refusal.value.code == "invalid_state"
    assert kept() == BalanceState("EUR", 0, 0)
    assert told() == ["created", "canceled", "created", "updated"]


def test_a_payout_is_seen_in_its_own_environment_only():
    charge()
    clock.advance(MONDAY + 3 * DAY)
    (payout,) = payouts()

    assert network.retrieve_payout(environment_id=OTHER_ENVIRONMENT, reference=payout.reference) is None
    with pytest.raises(Refused) as refusal:
        dashboard.fail_payout(environment_id=OTHER_ENVIRONMENT, reference=payout.reference)
    assert refusal.value.code == "not_found"


@pytest.mark.parametrize(
    ("on", "call"), [("retrieve", lambda payout: network.retrieve_payout(**of(payout))), ("list", settled_by)]
)
def test_asking_for_a_payout_can_fail(on, call):
    charge()
    clock.advance(MONDAY + 3 * DAY)
    (payout,) = payouts()
    faults.plan(ENVIRONMENT, on=on, fault="unreachable")

    with pytest.raises(Unreachable):
        call(payout)

    assert call(payout)


def test_the_notice_of_a_payout_names_it_and_can_be_lost():
    charge()
    clock.advance(MONDAY + 4 * DAY)
    SandboxNotice.objects.exclude(kind="payout").delete()
    faults.plan(ENVIRONMENT, on="notice", fault="drop")
    read = []

    def post(url, body, headers):
        at = MONDAY + 4 * DAY
        read.append(network.read_notice(environment_id=ENVIRONMENT, headers=headers, body=body, at=at))
        return 200

    notices.deliver(MONDAY + 4 * DAY, post=post)

    assert [notice.type for notice in read] == ["payout.updated", "payout.paid"]
    assert {(notice.kind, notice.reference) for notice in read} == {("payout", payouts()[0].reference)}


@pytest.mark.django_db(transaction=True)
def test_two_clocks_at_once_pay_out_once():
    for _ in range(3):
        charge()

    at_once(lambda: clock.advance(MONDAY + 3 * DAY), 4)

    assert [payout.money for payout in payouts()] == [eur(3 * 9_680)]
    assert len(settled_by(payouts()[0])) == 3


@pytest.mark.django_db(transaction=True)
def test_two_hands_at_once_do_not_take_more_than_there_is():
    accounts.pay_out_daily(ENVIRONMENT, False)
    charge()
    clock.advance(MONDAY + 3 * DAY)

    answers = at_once(lambda: dashboard.pay_out(environment_id=ENVIRONMENT, money=eur(9_000)), 4)

    assert [type(answer) for answer in answers].count(Refused) == 3
    assert kept() == BalanceState("EUR", 680, 0)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "charge",
                "refund",
                "fail_refund",
                "dispute",
                "win",
                "lose",
                "reinstate",
                "pay_out",
                "fail",
                "cancel",
                "wait",
            ]
        ),
        st.integers(0, 3),
        st.integers(1, 20_000),
    ),
    min_size=3,
    max_size=25,
)
TOKENS = ("pm_card_visa", "pm_card_createDispute", "pm_usBankAccount_dispute", "pm_card_refundFail")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS, daily=st.booleans())
def test_whatever_happens_movements_balances_and_payouts_add_up(acts, daily):
    environment_id = f"env_{SandboxPayout.objects.count()}_{SandboxBalanceTransaction.objects.count()}"
    accounts.pay_out_daily(environment_id, daily)
    now, made = MONDAY, {"payment": [], "refund": [], "dispute": []}

    def act(kind: str, verb, **options):
        if rows := made[kind]:
            verb(environment_id=environment_id, reference=rows[which % len(rows)].reference, at=now, **options)

    for what, which, amount in acts:
        payouts_now = payouts(environment_id)
        try:
            match what:
                case "charge":
                    made["payment"].append(charge(amount, at=now, environment_id=environment_id, token=TOKENS[which]))
                case "refund" if made["payment"]:
                    payment = made["payment"][which % len(made["payment"])]
                    made["refund"].append(dashboard.refund(**of(payment), money=eur(amount), at=now))
                case "dispute" if made["payment"]:
                    payment = made["payment"][which % len(made["payment"])]
                    made["dispute"].append(dashboard.open_dispute(**of(payment), money=eur(amount), at=now))
                case "fail_refund":
                    act("refund", dashboard.fail_refund)
                case "win":
                    act("dispute", dashboard.win)
                case "lose":
                    act("dispute", dashboard.lose)
                case "reinstate":
                    act("dispute", dashboard.reinstate, money=eur(amount))
                case "pay_out":
                    dashboard.pay_out(environment_id=environment_id, money=eur(amount), at=now)
                case "fail" if payouts_now:
                    dashboard.fail_payout(**of(payouts_now[which % len(payouts_now)]), at=now)
                case "cancel" if payouts_now:
                    dashboard.cancel_payout(**of(payouts_now[which % len(payouts_now)]), at=now)
                case "wait":
                    now += which * DAY + 7 * HOUR
                    clock.advance(now, environment_id)
        except Refused:
            pass  # Most random acts come at the wrong moment; what matters is that nothing moved by them.

    listed = list(
        network.list_balance_transactions(environment_id=environment_id, since=MONDAY - DAY, until=MONDAY + 999 * DAY)
    )
    sums = Counter()
    for movement in listed:
        sums[movement.type] += movement.net_amount
        assert movement.net_amount == movement.amount - movement.fee_amount
    balance = sum(
        state.available_amount + state.pending_amount for state in network.balances(environment_id=environment_id)
    )
    out = sum(p.money.amount for p in payouts(environment_id) if p.status not in ("failed", "canceled"))
    earned = sum(sums[type] for type in ("payment", "refund", "dispute", "dispute_reversal"))
    assert sums.total() == balance
    assert earned == balance + out
    gross = sum(movement.amount for movement in listed if not movement.type.startswith("payout"))
    assert gross == effects(environment_id).net
    for payout in payouts(environment_id):
        paid = sum(movement.net_amount for movement in settled_by(payout))
        assert paid == (payout.money.amount if payout.is_automatic else 0)
