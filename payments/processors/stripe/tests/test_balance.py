"""The balance that Stripe keeps: its movements by the contract's names, the payouts out of it, what is left in it."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
import stripe

from flint.merchants.models import Environment, Kind
from flint.money import Money
from flint.testing.stories import eur
from flint.testing.stripe_server import shapes
from flint.testing.stripe_server.amounts import fee_for
from flint.testing.stripe_server.clock import ARRIVES_IN, SETTLES_IN
from payments.processors.base import BalanceState, BalanceTransactionState, DoesNotFit, NotOurs, Refused
from payments.processors.stripe import balance
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.tests.calls import capture, give_back, hold, pay, processor

ACCOUNT = StripeAccount(environment=Environment(id="env_1", kind=Kind.SANDBOX))
TYPES = get_args(BalanceTransactionState.__annotations__["type"])


def movement(**fields):
    plain = {"type": "charge", "reporting_category": "charge", "source": "ch_1", "created": 1, "available_on": 2}
    given = {"amount": 1_000, "fee": 0, "currency": "eur", "status": "available", "description": None}
    return shapes.balance_transaction(**given | plain | fields)


@pytest.mark.parametrize(
    ("type", "category", "found"),
    [
        ("charge", "charge", "payment"),
        ("payment", "charge", "payment"),
        ("payment_failure_refund", "charge_failure", "payment"),
        ("payment_reversal", "charge_failure", "payment"),
        ("refund", "refund", "refund"),
        ("payment_refund", "refund", "refund"),
        ("refund", "partial_capture_reversal", "payment"),
        ("adjustment", "refund_failure", "refund"),
        ("refund_failure", "refund_failure", "refund"),
        ("adjustment", "dispute", "dispute"),
        ("adjustment", "dispute_reversal", "dispute_reversal"),
        ("payout", "payout", "payout"),
        ("payout", "payout_reversal", "payout_reversal"),
        ("payout_cancel", "payout_reversal", "payout_cancellation"),
        ("payout_failure", "payout_reversal", "payout_failure"),
        ("reserve_hold", "risk_reserved_funds", "reserve_hold"),
        ("reserve_release", "risk_reserved_funds", "reserve_release"),
        ("payment_network_reserve_hold", "charge", "reserve_hold"),
        ("stripe_fee", "fee", "adjustment"),
        ("stripe_fx_fee", "fee", "adjustment"),
        ("tax_fee", "tax", "adjustment"),
        ("adjustment", "other_adjustment", "adjustment"),
        ("topup", "topup", "adjustment"),
        ("brand_new", "as_new", "adjustment"),
        # Without a category the type has to do.
        ("charge", None, "payment"),
        ("payment_failure_refund", "", "payment"),
        ("adjustment", None, "adjustment"),
    ],
)
def test_every_movement_has_the_contracts_name(type, category, found):
    assert found in TYPES
    assert balance.movement_state(ACCOUNT, movement(type=type, reporting_category=category)).type == found


def test_every_type_of_the_sdk_is_one_of_the_contract():
    hint = stripe.BalanceTransaction.__annotations__["type"]
    types = {code for part in get_args(hint) for code in get_args(part)}
    assert "payout" in types

    for type in types:
        assert balance.movement_state(ACCOUNT, movement(type=type, reporting_category=None)).type in TYPES


@pytest.mark.parametrize(
    ("source", "kind", "reference"),
    [
        ({"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}, "payment", "pi_1"),
        ({"object": "charge", "id": "ch_1", "payment_intent": {"id": "pi_1"}}, "payment", "pi_1"),
        ({"object": "charge", "id": "ch_1", "payment_intent": None}, "payment", "ch_1"),
        ({"object": "refund", "id": "re_1"}, "refund", "re_1"),
        ({"object": "dispute", "id": "du_1"}, "dispute", "du_1"),
        ({"object": "payout", "id": "po_1"}, "payout", "po_1"),
        ({"object": "topup", "id": "tu_1"}, "", ""),
        ("py_1", "payment", "py_1"),
        ("pyr_1", "refund", "pyr_1"),
        ("dp_1", "dispute", "dp_1"),
        ("tu_1", "", ""),
        (None, "", ""),
    ],
)
def test_a_movement_names_what_is_behind_it_by_the_name_that_is_known_here(source, kind, reference):
    state = balance.movement_state(ACCOUNT, movement(source=source, type="adjustment", reporting_category="as_new"))

    assert (state.source_kind, state.source_reference) == (kind, reference)


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        ({"object": "refund", "id": "pyr_1", "payment_intent": "pi_1"}, "pi_1"),
        ({"object": "refund", "id": "pyr_1", "payment_intent": None, "charge": "py_1"}, "py_1"),
        ({"object": "charge", "id": "py_1", "payment_intent": "pi_1"}, "pi_1"),
        ("pyr_1", "pyr_1"),
    ],
)
def test_a_payment_that_failed_late_is_no_refund_whatever_stripe_names_as_its_source(source, reference):
    failed = movement(amount=-1_000, type="payment_failure_refund", reporting_category="charge_failure", source=source)

    state = balance.movement_state(ACCOUNT, failed)

    assert (state.type, state.source_kind, state.source_reference) == ("payment", "payment", reference)


def test_a_fee_is_positive_when_charged_and_negative_when_given_back():
    charged = balance.movement_state(ACCOUNT, movement(fee=59))
    given_back = balance.movement_state(ACCOUNT, movement(amount=0, fee=-59))

    assert (charged.amount, charged.fee_amount, charged.net_amount) == (1_000, 59, 941)
    assert (given_back.amount, given_back.fee_amount, given_back.net_amount) == (0, -59, 59)


def test_a_movement_of_a_foreign_payment_says_whose_and_one_of_the_other_mode_is_not_read():
    charge = {"object": "charge", "id": "ch_1", "payment_intent": "pi_1", "metadata": {"flint_environment_id": "env_2"}}

    assert balance.movement_state(ACCOUNT, movement(source=charge)).environment_id == "env_2"
    assert balance.movement_state(ACCOUNT, movement()).environment_id == "env_1"
    with pytest.raises(NotOurs):
        balance.movement_state(ACCOUNT, movement(source=charge | {"livemode": True}))


def test_amounts_are_in_flints_digits_or_do_not_fit():
    whole = balance.movement_state(ACCOUNT, movement(currency="isk", amount=-50_000, fee=500))

    assert (whole.amount, whole.fee_amount, whole.net_amount, whole.currency) == (-500, 5, -505, "ISK")
    with pytest.raises(DoesNotFit):
        balance.movement_state(ACCOUNT, movement(currency="isk", amount=50_000, fee=501))


def payout(**fields):
    made = shapes.payout(
        livemode=False, created=1, amount=5_000, currency="eur", automatic=True, arrival_date=1_800_000_000
    )
    return made | fields


@pytest.mark.parametrize("status", ["pending", "in_transit", "paid", "failed", "canceled"])
def test_every_status_of_a_payout(status):
    state = balance.payout_state(ACCOUNT, payout(status=status, automatic=False))

    assert (state.status, state.money, state.is_automatic) == (status, eur(5_000), False)
    assert state.arrives_at == datetime.fromtimestamp(1_800_000_000, UTC)


def test_a_payout_of_the_future_or_of_the_other_mode_does_not_fit():
    with pytest.raises(DoesNotFit):
        balance.payout_state(ACCOUNT, payout(status="lost_at_sea"))
    with pytest.raises(NotOurs):
        balance.payout_state(ACCOUNT, payout(livemode=True))


def test_a_balance_is_summed_by_currency_and_kept_as_it_is_below_zero():
    held = {
        "livemode": False,
        "available": [{"amount": -300, "currency": "eur"}, {"amount": 50, "currency": "eur"}],
        "pending": [{"amount": 7, "currency": "usd"}],
        "connect_reserved": [{"amount": 99, "currency": "eur"}],
    }

    assert balance.balance_states(ACCOUNT, held) == [BalanceState("EUR", -250, 0), BalanceState("USD", 0, 7)]
    with pytest.raises(NotOurs):
        balance.balance_states(ACCOUNT, held | {"livemode": True})


# Over HTTP


def movements(environment, server, **changes):
    now = datetime.fromtimestamp(server.clock.now(), UTC)
    window = {"since": now - timedelta(days=30), "until": now + timedelta(minutes=1)}
    return list(processor.list_balance_transactions(environment_id=environment.id, **window | changes))


@pytest.mark.django_db
def test_a_sale_and_all_that_happens_to_it_is_told_and_sums_up(stripe_server, stripe_environment):
    book = stripe_server.book
    payment = pay(stripe_environment)
    refund = give_back(payment, eur(3_000))
    dispute = book.open_dispute(payment.reference, 7_000)["id"]
    book.win_dispute(dispute)
    held = hold(stripe_environment)
    capture(held, eur(4_000))
    book.fail_refund(refund.reference)

    found = movements(stripe_environment, stripe_server)

    assert [(row.type, row.amount, row.fee_amount, row.source_kind, row.source_reference) for row in found[::-1]] == [
        ("payment", 10_000, fee_for(10_000), "payment", payment.reference),
        ("refund", -3_000, 0, "refund", refund.reference),
        ("dispute", -7_000, 1_500, "dispute", dispute),
        ("dispute_reversal", 7_000, 0, "dispute", dispute),
        ("payment", 4_000, fee_for(4_000), "payment", held.reference),
        ("refund", 3_000, 0, "refund", refund.reference),
    ]
    (state,) = processor.balances(environment_id=stripe_environment.id)
    assert sum(row.net_amount for row in found) == state.available_amount + state.pending_amount
    assert {row.status: None for row in found} == {"available": None, "pending": None}


@pytest.mark.django_db
def test_a_payout_shows_what_it_paid_out_and_not_itself(stripe_server, stripe_environment):
    payment = pay(stripe_environment)
    stripe_server.advance(SETTLES_IN)
    pay(stripe_environment)
    made = stripe_server.book.pay_out()["id"]

    # However long ago what it paid out was made.
    far = datetime(2020, 1, 1, tzinfo=UTC)
    (row,) = movements(stripe_environment, stripe_server, since=far, until=far, payout_reference=made)
    state = processor.retrieve_payout(environment_id=stripe_environment.id, reference=made)

    assert (row.source_reference, row.net_amount) == (payment.reference, state.money.amount)
    assert (state.status, state.is_automatic) == ("pending", True)
    assert row.occurred_at == payment.created_at
    newest = movements(stripe_environment, stripe_server)[0]
    assert (newest.type, newest.amount, newest.source_reference) == ("payout", -state.money.amount, made)

    stripe_server.advance(ARRIVES_IN)
    assert processor.retrieve_payout(environment_id=stripe_environment.id, reference=made).status == "paid"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("verb", "status", "type"),
    [("fail_payout", "failed", "payout_failure"), ("cancel_payout", "canceled", "payout_cancellation")],
)
def test_a_payout_that_comes_to_nothing_is_back_in_the_balance(stripe_server, stripe_environment, verb, status, type):
    pay(stripe_environment)
    stripe_server.advance(SETTLES_IN)
    made = stripe_server.book.pay_out("eur", 5_000)["id"]

    getattr(stripe_server.book, verb)(made)

    state = processor.retrieve_payout(environment_id=stripe_environment.id, reference=made)
    assert (state.status, state.is_automatic, state.money) == (status, False, eur(5_000))
    assert bool(state.failure_code) is (status == "failed")
    newest = movements(stripe_environment, stripe_server)[0]
    assert (newest.type, newest.amount, newest.source_reference) == (type, 5_000, made)
    assert [balance.available_amount for balance in processor.balances(environment_id=stripe_environment.id)] == [
        10_000 - fee_for(10_000)
    ]


@pytest.mark.django_db
def test_what_a_payout_by_hand_paid_out_is_not_known(stripe_server, stripe_environment):
    pay(stripe_environment)
    stripe_server.advance(SETTLES_IN)
    made = stripe_server.book.pay_out("eur", 5_000)["id"]

    assert movements(stripe_environment, stripe_server, payout_reference=made) == []
    with pytest.raises(Refused) as refused:
        movements(stripe_environment, stripe_server, payout_reference="po_nobody")
    assert refused.value.code == "not_found"


@pytest.mark.django_db
def test_a_bill_of_stripes_own_is_an_adjustment_of_nothing(stripe_server, stripe_environment):
    stripe_server.book.adjust(-250, text="Radar")

    (row,) = movements(stripe_environment, stripe_server)

    assert (row.type, row.amount, row.source_kind, row.source_reference) == ("adjustment", -250, "", "")
    assert row.description == "Radar"


@pytest.mark.django_db
def test_a_balance_in_another_currency_is_told_in_its_own(stripe_server, stripe_environment):
    stripe_server.book.rates["usd"] = ("eur", 9, 10)
    payment = pay(stripe_environment, money=Money(10_000, "USD"))

    (row,) = movements(stripe_environment, stripe_server)

    assert (row.amount, row.currency, row.source_reference) == (9_000, "EUR", payment.reference)


@pytest.mark.django_db
@pytest.mark.parametrize("reference", ["", "po_nobody"])
def test_a_payout_that_is_not_there_is_none(stripe_environment, reference):
    assert processor.retrieve_payout(environment_id=stripe_environment.id, reference=reference) is None
