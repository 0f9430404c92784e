"""Paying: every published token does what it says."""

import pytest
from django.db import transaction
from django.urls import resolve
from django.utils import timezone

from flint.money import Money
from payments.processors.base import Refused, SourceSummary
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxPayment
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    cancel,
    capture,
    eur,
    give_back,
    hold,
    network,
    pay,
    payment_request,
    see,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("prefix", ["pm", "ctoken"])
@pytest.mark.parametrize("name", ["card_visa", "card_mastercard", "card_amex", "card_pendingRefund", "card_refundFail"])
def test_a_good_card_pays(prefix, name):
    payment = pay(f"{prefix}_{name}", 4_200)

    assert payment.status == "succeeded"
    assert (payment.authorized_amount, payment.captured_amount) == (4_200, 4_200)
    assert [(effect.kind, effect.amount) for effect in effects(ENVIRONMENT)] == [("charge", 4_200)]


def test_a_payment_carries_our_ids_and_a_summary_of_the_source():
    request = payment_request("pm_card_mastercard")

    payment = network.confirm(request)

    assert payment.operation_id == request.operation_id
    assert payment.payment_intent_id == request.payment_intent_id
    assert payment.environment_id == ENVIRONMENT
    assert payment.money == eur(10_000)
    good_until = {"exp_month": payment.source.exp_month, "exp_year": payment.source.exp_year}
    assert payment.source == SourceSummary(type="card", brand="mastercard", last4="4444", **good_until)
    today = timezone.now()
    assert (today.year, today.month) <= (good_until["exp_year"], good_until["exp_month"])
    assert payment == see(payment)


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_any_currency_is_taken_as_whole_minor_units(currency):
    assert pay(money=Money(1_234, currency)).captured_amount == 1_234


def test_a_manual_payment_is_held_for_seven_days():
    payment = hold()

    made_at = SandboxPayment.objects.get(reference=payment.reference).created_at
    assert payment.status == "requires_capture"
    assert (payment.authorized_amount, payment.captured_amount) == (10_000, 0)
    assert (payment.authorization_expires_at - made_at).days == 7
    assert effects(ENVIRONMENT).charges == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("card_chargeDeclined", "card_declined"),
        ("card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("card_chargeDeclinedExpiredCard", "expired_card"),
        ("card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
        ("card_chargeDeclinedProcessingError", "processing_error"),
        ("card_chargeDeclinedFraudulent", "payment_blocked"),
    ],
)
def test_a_decline_is_an_answer_and_moves_nothing(name, code):
    payment = pay(f"pm_{name}")

    assert (payment.status, payment.error_code) == ("requires_payment_method", code)
    assert payment.error_message
    assert see(payment) == payment
    assert effects(ENVIRONMENT) == []


@pytest.mark.parametrize("name", ["card_threeDSecure2Required", "card_authenticationRequired"])
def test_a_card_may_want_the_buyer_first(name, settings):
    payment = pay(f"ctoken_{name}")

    assert payment.status == "requires_action"
    assert payment.action.client_secret.startswith("sbp_secret_")
    assert payment.action.publishable_key == network.collection(environment_id=ENVIRONMENT)["publishable_key"]
    assert payment.action.redirect_url.startswith(f"{settings.BASE_URL}/")
    page = resolve(payment.action.redirect_url.removeprefix(settings.BASE_URL))
    assert page.kwargs == {"client_secret": payment.action.client_secret}
    assert effects(ENVIRONMENT) == []


def test_the_step_for_the_buyer_keeps_its_id():
    payment = pay("pm_card_threeDSecure2Required")

    assert see(payment).action == payment.action


@pytest.mark.parametrize("capture_method", ["automatic", "manual"])
def test_a_card_may_be_good_for_four_fifths(capture_method):
    payment = pay("pm_card_partialApproval", 20_000, capture_method=capture_method)

    assert payment.money == eur(20_000)
    assert payment.authorized_amount == 16_000
    assert payment.captured_amount == (16_000 if capture_method == "automatic" else 0)
    assert [effect.amount for effect in effects(ENVIRONMENT)] == [16_000]


@pytest.mark.parametrize("name", ["success", "processing", "insufficientFunds", "accountClosed"])
def test_a_bank_debit_is_under_way_at_first(name):
    payment = pay(f"pm_usBankAccount_{name}")

    assert payment.status == "processing"
    assert payment.source.type == "ach_debit"
    assert payment.source.bank_name
    assert effects(ENVIRONMENT) == []


@pytest.mark.parametrize("token", ["pm_card_unknown", "tok_visa", "card_visa", "", "pm_01J9Z6W2V7Q0M3T8K4B5N6P7R8"])
def test_an_unknown_token_is_refused_and_leaves_no_payment(token):
    with pytest.raises(Refused) as refusal:
        pay(token)

    assert refusal.value.code == "invalid_payment_source"
    assert not SandboxPayment.objects.exists()


def test_a_bank_account_cannot_be_held():
    with pytest.raises(Refused) as refusal:
        hold("pm_usBankAccount_success")

    assert refusal.value.code == "payment_method_unavailable"
    assert not SandboxPayment.objects.exists()


def test_nothing_cannot_be_paid():
    with pytest.raises(Refused) as refusal:
        pay(amount=0)

    assert refusal.value.code == "amount_too_small"


def test_a_payment_is_found_by_its_operation_in_its_environment_only():
    payment = pay()

    assert network.find_payment(environment_id=ENVIRONMENT, operation_id=payment.operation_id) == payment
    assert network.find_payment(environment_id=ENVIRONMENT, operation_id="pi_nothing") is None
    assert network.find_payment(environment_id=ENVIRONMENT, operation_id="") is None
    assert network.find_payment(environment_id=OTHER_ENVIRONMENT, operation_id=payment.operation_id) is None
    assert network.retrieve_payment(environment_id=OTHER_ENVIRONMENT, reference=payment.reference) is None


@pytest.mark.parametrize(
    "call", [lambda held: pay(), lambda held: capture(held, 100), cancel, lambda held: give_back(held, 100)]
)
def test_moving_money_inside_a_transaction_is_a_defect(call):
    held = hold()

    with transaction.atomic(), pytest.raises(RuntimeError, match="was called inside a transaction"):
        call(held)

    assert see(held) == held
    assert SandboxPayment.objects.count() == 1
