"""Disputes as Stripe tells of them: what is claimed, why, what is held back for it at every moment."""

from datetime import UTC, datetime

import pytest

from flint.merchants.models import Environment, Kind
from flint.money import Money
from flint.testing.stories import eur
from flint.testing.stripe_server import shapes
from flint.testing.stripe_server.clock import ANSWER_WITHIN
from flint.testing.stripe_server.sources import SOURCES
from payments.processors.base import DoesNotFit, NotOurs, Refused
from payments.processors.stripe.disputes import REASONS, STATUSES, dispute_state
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.tests.calls import give_back, pay, processor

ACCOUNT = StripeAccount(environment=Environment(id="env_1", kind=Kind.SANDBOX))
OURS = {"flint_environment_id": "env_1"}


def usd(amount):
    return Money(amount, "USD")


def intent(currency="eur"):
    return shapes.payment_intent(livemode=False, created=1, amount=10_000, currency=currency, metadata=OURS)


def dispute(currency="eur", moves=(), token="card_visa", **fields):
    charge = shapes.charge(intent(currency), SOURCES[token], created=1, captured=True)
    made = shapes.dispute(
        charge,
        created=1_800_000_000,
        amount=10_000,
        case_type="chargeback",
        due_by=1_800_100_000,
        is_bank=SOURCES[token].is_bank,
        reason="fraudulent",
        status="needs_response",
    )
    return made | {"charge": charge, "balance_transactions": list(moves)} | fields


def move(amount, category="dispute", currency="eur", fee=0):
    return shapes.balance_transaction(
        amount=amount, fee=fee, currency=currency, type="adjustment", reporting_category=category
    )


def test_the_whole_of_a_dispute():
    made = dispute(moves=[move(-10_000, fee=1_500)])
    made["evidence_details"] |= {"has_evidence": True, "submission_count": 2, "past_due": True}

    state = dispute_state(ACCOUNT, made)

    assert (state.reference, state.status, state.money) == (made["id"], "needs_response", eur(10_000))
    assert (state.environment_id, state.payment_reference) == ("env_1", made["payment_intent"])
    assert (state.reason, state.case_type, state.withdrawn_amount) == ("fraudulent", "chargeback", 10_000)
    assert state.evidence_due_at == datetime.fromtimestamp(1_800_100_000, UTC)
    assert (state.has_evidence, state.evidence_submission_count, state.is_evidence_past_due) == (True, 2, True)
    assert state.created_at == datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.mark.parametrize(("said", "status"), STATUSES.items())
def test_every_status(said, status):
    assert dispute_state(ACCOUNT, dispute(status=said)).status == status


def test_a_status_of_the_future_does_not_fit():
    with pytest.raises(DoesNotFit):
        dispute_state(ACCOUNT, dispute(status="in_heaven"))


@pytest.mark.parametrize("said", [*sorted(REASONS), "brand_new", None])
def test_every_reason_is_one_of_the_contract(said):
    assert dispute_state(ACCOUNT, dispute(reason=said)).reason == (said if said in REASONS else "other")


@pytest.mark.parametrize(
    ("change", "case_type"),
    [
        ({}, "chargeback"),
        ({"status": "warning_needs_response"}, "inquiry"),
        ({"status": "warning_closed"}, "inquiry"),
        ({"payment_method_details": {"card": {"case_type": "compliance"}, "type": "card"}}, "compliance"),
        ({"payment_method_details": {"card": {"case_type": "block"}, "type": "card"}}, "block"),
        ({"payment_method_details": {"card": {"case_type": "resolution"}, "type": "card"}}, "resolution"),
        ({"payment_method_details": {"card": {"case_type": "as_new"}, "type": "card"}}, "chargeback"),
        ({"payment_method_details": None}, "chargeback"),
        ({"payment_method_details": None, "charge": "ch_1", "reason": "insufficient_funds"}, "bank_return"),
        ({"payment_method_details": None, "charge": "ch_1"}, "chargeback"),
        ({"payment_method_details": {"klarna": {}, "type": "klarna"}, "charge": "ch_1"}, "other"),
    ],
)
def test_every_kind_of_case(change, case_type):
    assert dispute_state(ACCOUNT, dispute(**change)).case_type == case_type


def test_a_bank_debit_that_comes_back_is_a_bank_return():
    state = dispute_state(ACCOUNT, dispute("usd", token="usBankAccount_success", reason="insufficient_funds"))

    assert (state.case_type, state.reason, state.money) == ("bank_return", "insufficient_funds", usd(10_000))


def test_a_bank_that_takes_no_answer_sets_no_date():
    made = dispute()
    made["evidence_details"]["due_by"] = 0

    assert dispute_state(ACCOUNT, made).evidence_due_at is None


@pytest.mark.parametrize(
    ("moves", "withdrawn"),
    [
        ([], 0),
        ([move(-10_000, fee=1_500)], 10_000),
        ([move(-10_320)], 10_320),
        ([move(-4_000)], 4_000),
        ([move(-10_000), move(3_000, "dispute_reversal")], 7_000),
        ([move(-10_000), move(10_000, "dispute_reversal", fee=-1_500)], 0),
        ([move(-10_000), move(10_000, "dispute_reversal"), move(-10_000)], 10_000),
        # More may come back than went, and what is only about fees holds nothing back.
        ([move(-10_000), move(10_100, "dispute_reversal")], 0),
        ([move(-10_000), move(-1_500, "fee")], 10_000),
    ],
)
def test_what_is_held_back_is_withdrawn_less_reinstated(moves, withdrawn):
    assert dispute_state(ACCOUNT, dispute(moves=moves)).withdrawn_amount == withdrawn


@pytest.mark.parametrize(
    ("moves", "status", "withdrawn"),
    [
        ([move(-9_000)], "needs_response", 10_000),
        ([move(-9_000), move(2_700, "dispute_reversal")], "lost", 7_000),
        ([move(-9_000), move(8_900, "dispute_reversal")], "won", 0),
        ([move(-9_000), move(9_200, "dispute_reversal")], "won", 0),
        ([move(-9_000), move(9_000, "dispute_reversal")], "lost", 0),
        ([move(-9_000)], "won", 10_000),
    ],
)
def test_a_balance_in_another_currency_tells_the_share_that_is_held_back(moves, status, withdrawn):
    """The payment was in dollars, the balance is in euros, and the rate is another every day."""
    assert dispute_state(ACCOUNT, dispute("usd", moves, status=status)).withdrawn_amount == withdrawn


def test_a_claim_in_a_third_currency_counts_for_all_of_the_payment():
    made = dispute("usd", [move(-9_000)], amount=8_000) | {"currency": "gbp"}

    assert dispute_state(ACCOUNT, made).withdrawn_amount == 10_000


def test_a_dispute_belongs_where_its_payment_does():
    made = dispute()
    made["charge"]["metadata"] = {"flint_environment_id": "env_2"}

    with pytest.raises(NotOurs):
        dispute_state(ACCOUNT, made)
    assert dispute_state(ACCOUNT, made, of_any=True).environment_id == "env_2"
    with pytest.raises(NotOurs):
        dispute_state(ACCOUNT, dispute(livemode=True), of_any=True)


@pytest.mark.parametrize("payment_intent", [None, "pi_1", {"id": "pi_1"}])
def test_the_payment_is_found_through_the_charge_as_well(payment_intent):
    made = dispute(payment_intent=payment_intent)
    made["charge"]["payment_intent"] = "pi_1"

    assert dispute_state(ACCOUNT, made).payment_reference == "pi_1"


def test_an_older_shape_with_less_in_it_is_read():
    made = dispute()
    for name in ("payment_method_details", "evidence_details", "balance_transactions", "livemode"):
        del made[name]

    state = dispute_state(ACCOUNT, made | {"charge": "ch_1"})

    assert (state.case_type, state.withdrawn_amount, state.has_evidence) == ("chargeback", 0, False)


# Over HTTP


def see(environment, reference):
    return processor.retrieve_dispute(environment_id=environment.id, reference=reference)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "status", "reason", "case_type", "withdrawn"),
    [
        ("pm_card_createDispute", "needs_response", "fraudulent", "chargeback", 10_000),
        ("pm_card_createDisputeProductNotReceived", "needs_response", "product_not_received", "chargeback", 10_000),
        ("pm_card_createDisputeInquiry", "warning_needs_response", "general", "inquiry", 0),
    ],
)
def test_the_test_cards_are_disputed_at_once(
    stripe_server, stripe_environment, token, status, reason, case_type, withdrawn
):
    payment = pay(stripe_environment, token)
    (reference,) = stripe_server.book.disputes

    state = see(stripe_environment, reference)

    assert (state.status, state.reason, state.case_type) == (status, reason, case_type)
    assert (state.payment_reference, state.withdrawn_amount) == (payment.reference, withdrawn)
    assert state.environment_id == stripe_environment.id


@pytest.mark.django_db
def test_d111_a_dispute_lost_after_a_partial_refund_holds_back_the_rest(stripe_server, stripe_environment):
    payment = pay(stripe_environment)
    give_back(payment, eur(3_000))
    reference = stripe_server.book.open_dispute(payment.reference, 10_000)["id"]
    assert see(stripe_environment, reference).withdrawn_amount == 10_000

    stripe_server.book.lose_dispute(reference, reinstated=3_000)

    state = see(stripe_environment, reference)
    assert (state.status, state.withdrawn_amount) == ("lost", 7_000)


@pytest.mark.django_db
def test_d117_a_dispute_lost_yesterday_is_won_today(stripe_server, stripe_environment):
    payment = pay(stripe_environment)
    reference = stripe_server.book.open_dispute(payment.reference)["id"]
    stripe_server.book.lose_dispute(reference)
    assert (see(stripe_environment, reference).status, see(stripe_environment, reference).withdrawn_amount) == (
        "lost",
        10_000,
    )

    stripe_server.book.win_dispute(reference)

    state = see(stripe_environment, reference)
    assert (state.status, state.withdrawn_amount) == ("won", 0)


@pytest.mark.django_db
def test_d112_a_dispute_larger_than_the_payment_is_told_as_it_is(stripe_server, stripe_environment):
    payment = pay(stripe_environment)
    reference = stripe_server.book.open_dispute(payment.reference, 10_320)["id"]

    assert see(stripe_environment, reference).withdrawn_amount == 10_320


@pytest.mark.django_db
def test_a_question_becomes_a_claim_and_is_answered(stripe_server, stripe_environment):
    payment = pay(stripe_environment, "pm_card_createDisputeInquiry")
    (reference,) = stripe_server.book.disputes
    give_back(payment, eur(1_000))

    stripe_server.book.escalate_dispute(reference)
    claim = see(stripe_environment, reference)
    assert (claim.status, claim.case_type, claim.withdrawn_amount) == ("needs_response", "chargeback", 10_000)
    with pytest.raises(Refused) as refused:
        give_back(payment, eur(1_000))
    assert refused.value.code == "payment_disputed"

    stripe_server.book.submit_evidence(reference)
    answered = see(stripe_environment, reference)
    assert (answered.status, answered.has_evidence, answered.evidence_submission_count) == ("under_review", True, 1)


@pytest.mark.django_db
def test_a_dispute_that_nobody_answers_is_lost(stripe_server, stripe_environment):
    pay(stripe_environment, "pm_card_createDispute")
    (reference,) = stripe_server.book.disputes

    stripe_server.advance(ANSWER_WITHIN)

    state = see(stripe_environment, reference)
    assert (state.status, state.is_evidence_past_due) == ("lost", True)


@pytest.mark.django_db
def test_a_bank_return_comes_days_later_and_is_lost_at_once(stripe_server, stripe_environment):
    pay(stripe_environment, "pm_usBankAccount_dispute", money=usd(10_000))
    stripe_server.advance(5 * 24 * 3600)
    (reference,) = stripe_server.book.disputes

    state = see(stripe_environment, reference)

    assert (state.status, state.case_type, state.reason) == ("lost", "bank_return", "debit_not_authorized")
    assert (state.withdrawn_amount, state.evidence_due_at) == (10_000, None)


@pytest.mark.django_db
def test_a_balance_kept_in_another_currency(stripe_server, stripe_environment):
    stripe_server.book.rates["usd"] = ("eur", 9, 10)
    payment = pay(stripe_environment, money=usd(10_000))
    reference = stripe_server.book.open_dispute(payment.reference)["id"]
    assert see(stripe_environment, reference).withdrawn_amount == 10_000

    stripe_server.book.rates["usd"] = ("eur", 8, 10)
    stripe_server.book.win_dispute(reference)

    state = see(stripe_environment, reference)
    assert (state.withdrawn_amount, state.money) == (0, usd(10_000))


@pytest.mark.django_db
@pytest.mark.parametrize("reference", ["", "du_nobody"])
def test_a_dispute_that_is_not_there_is_none(stripe_environment, reference):
    assert see(stripe_environment, reference) is None
