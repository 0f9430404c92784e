"""Reading Stripe's objects: every status, every place where something may stand, and what is not ours."""

import copy

import pytest

from flint.merchants.models import Environment, Kind
from flint.testing.stories import eur
from flint.testing.stripe_server import shapes
from flint.testing.stripe_server.sources import SOURCES
from payments.processors.base import DoesNotFit, SourceSummary
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.states import payment_state, refund_state

ACCOUNT = StripeAccount(
    environment=Environment(id="env_1", kind=Kind.SANDBOX), publishable_key="pk_test_1", connected_account_id="acct_1"
)
VISA = SOURCES["card_visa"]
OURS = {
    "flint_operation_id": "pop_1",
    "flint_payment_intent_id": "pi_1",
    "flint_order_id": "ord_1",
    "flint_environment_id": "env_1",
}


def intent(**fields):
    made = shapes.payment_intent(livemode=False, created=1_800_000_000, amount=1_000, currency="eur", metadata=OURS)
    return made | fields


def charge_of(made, **fields):
    return shapes.charge(made, VISA, created=1_800_000_000, captured=True) | fields


@pytest.mark.parametrize(
    ("at_stripe", "here"),
    [
        ("requires_payment_method", "requires_payment_method"),
        ("requires_confirmation", "requires_payment_method"),
        ("requires_action", "requires_action"),
        ("processing", "processing"),
        ("requires_capture", "requires_capture"),
        ("succeeded", "succeeded"),
        ("canceled", "canceled"),
    ],
)
def test_every_status(at_stripe, here):
    state = payment_state(ACCOUNT, intent(status=at_stripe))

    assert state.status == here
    assert (state.operation_id, state.payment_intent_id, state.environment_id) == ("pop_1", "pi_1", "env_1")
    assert state.money == eur(1_000)


def test_a_status_of_the_future_does_not_fit():
    with pytest.raises(DoesNotFit):
        payment_state(ACCOUNT, intent(status="requires_patience"))


@pytest.mark.parametrize(
    "foreign", [{"livemode": True}, {"metadata": OURS | {"flint_environment_id": "env_2"}}], ids=["mode", "environment"]
)
def test_what_is_of_another_mode_or_environment_does_not_fit(foreign):
    with pytest.raises(DoesNotFit):
        payment_state(ACCOUNT, intent(**foreign))
    refund = shapes.refund(charge_of(intent()), created=1, amount=100, status="succeeded", metadata=OURS)
    with pytest.raises(DoesNotFit):
        refund_state(ACCOUNT, refund | foreign)


def test_what_was_made_in_the_dashboard_has_no_operation():
    assert payment_state(ACCOUNT, intent(metadata={})).operation_id == ""
    refund = shapes.refund(charge_of(intent()), created=1, amount=100, status="succeeded")
    assert refund_state(ACCOUNT, refund).operation_id == ""


def test_a_payment_that_was_never_tried_is_not_completed():
    assert payment_state(ACCOUNT, intent()).error_code == "payment_not_completed"


def test_a_partial_capture_shows_what_was_held():
    made = intent(status="succeeded", amount_received=600)
    made["latest_charge"] = charge_of(made, amount_captured=600, amount_refunded=400)

    state = payment_state(ACCOUNT, made)

    assert (state.authorized_amount, state.captured_amount) == (1_000, 600)


@pytest.mark.parametrize("latest_charge", [None, "ch_1"])
def test_a_payment_is_read_without_its_charge_as_well(latest_charge):
    state = payment_state(ACCOUNT, intent(status="succeeded", amount_received=1_000, latest_charge=latest_charge))

    assert (state.authorized_amount, state.captured_amount, state.source) == (1_000, 1_000, None)


@pytest.mark.parametrize("place", ["latest_charge", "payment_method", "last_payment_error"])
def test_the_source_is_found_wherever_it_stands(place):
    method = shapes.payment_method(VISA, id="pm_1", livemode=False, created=1)
    made = intent()
    made[place] = {"latest_charge": charge_of(made), "payment_method": method}.get(place, {"payment_method": method})

    assert payment_state(ACCOUNT, made).source == SourceSummary(
        "card", brand="visa", last4="4242", exp_month=8, exp_year=2034
    )


@pytest.mark.parametrize(("brand", "shown"), [("jcb", "jcb"), ("cartes_bancaires", ""), ("unknown", "")])
def test_a_brand_that_the_contract_lacks_is_left_out(brand, shown):
    made = intent()
    made["latest_charge"] = copy.deepcopy(charge_of(made))
    made["latest_charge"]["payment_method_details"]["card"]["brand"] = brand

    assert payment_state(ACCOUNT, made).source.brand == shown


@pytest.mark.parametrize(
    ("reason", "charge", "found"),
    [
        ("abandoned", None, "abandoned"),
        ("automatic", "ch_1", "authorization_expired"),
        ("expired", "ch_1", "authorization_expired"),
        ("automatic", None, ""),
        ("failed_invoice", None, "invoice_payment_failed"),
        ("void_invoice", None, "invoice_voided"),
        ("brand_new", None, ""),
        (None, None, ""),
    ],
)
def test_why_a_payment_was_canceled(reason, charge, found):
    made = intent(status="canceled", cancellation_reason=reason, latest_charge=charge)

    assert payment_state(ACCOUNT, made).cancellation_reason == found


def test_a_step_for_the_buyer_carries_the_secret_and_where_to_use_it():
    step = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/acs", "return_url": ""}}
    made = intent(status="requires_action", next_action=step)

    action = payment_state(ACCOUNT, made).action

    assert action.client_secret == made["client_secret"]
    assert (action.publishable_key, action.account_id) == ("pk_test_1", "acct_1")
    assert action.redirect_url == "https://bank.example/acs"
    assert action == payment_state(ACCOUNT, made).action
    assert payment_state(ACCOUNT, intent(status="processing")).action is None


@pytest.mark.parametrize("status", ["pending", "requires_action", "succeeded", "failed", "canceled"])
def test_every_refund_status(status):
    refund = shapes.refund(charge_of(intent()), created=1, amount=100, status=status, metadata=OURS)

    state = refund_state(ACCOUNT, refund)

    assert (state.status, state.operation_id, state.money) == (status, "pop_1", eur(100))
    assert state.payment_reference == refund["payment_intent"]
    with pytest.raises(DoesNotFit):
        refund_state(ACCOUNT, refund | {"status": "brand_new"})


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("charge_for_pending_refund_disputed", "payment_disputed"),
        ("declined", "declined"),
        ("expired_or_canceled_card", "expired_or_canceled_card"),
        ("insufficient_funds", "insufficient_funds"),
        ("lost_or_stolen_card", "lost_or_stolen_card"),
        ("merchant_request", "merchant_request"),
        ("unknown", "refund_failed"),
        ("brand_new", "refund_failed"),
        (None, ""),
    ],
)
def test_every_reason_why_a_refund_failed(reason, found):
    refund = shapes.refund(charge_of(intent()), created=1, amount=100, status="failed", failure_reason=reason)

    assert refund_state(ACCOUNT, refund).failure_reason == found
