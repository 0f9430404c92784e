"""Paying through the real SDK over real HTTP."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from flint.ids import new_id
from flint.money import Money
from flint.testing.stories import eur
from payments.processors.base import Refused, SourceSummary
from payments.processors.stripe.tests.calls import (
    cancel,
    capture,
    give_back,
    hold,
    pay,
    payment_request,
    processor,
    see,
)

pytestmark = pytest.mark.django_db


def charged(server) -> list[int]:
    return [charge["amount_captured"] for charge in server.book.charges()]


@pytest.mark.parametrize("token", ["pm_card_visa", "ctoken_card_visa"])
def test_a_good_card_pays(stripe_server, stripe_environment, token):
    request = payment_request(stripe_environment, token)

    payment = processor.confirm(request)

    assert payment.status == "succeeded"
    assert (payment.authorized_amount, payment.captured_amount) == (10_000, 10_000)
    assert payment.operation_id == request.operation_id
    assert payment.payment_intent_id == request.payment_intent_id
    assert payment.environment_id == stripe_environment.id
    assert payment.source == SourceSummary("card", brand="visa", last4="4242", exp_month=8, exp_year=2034)
    assert payment == see(payment)
    assert charged(stripe_server) == [10_000]


def test_one_call_makes_and_confirms_it(stripe_server, stripe_environment):
    request = payment_request(stripe_environment, return_url="https://shop.example/back")

    processor.confirm(request)

    (call,) = stripe_server.calls
    assert (call.method, call.path) == ("POST", "/v1/payment_intents")
    assert call.idempotency_key == request.operation_id
    assert call.version == "2026-10-28.endive"
    assert call.account == ""
    assert call.sent["confirm"] == "true"
    assert call.sent["return_url"] == "https://shop.example/back"
    assert call.sent["automatic_payment_methods"] == {"enabled": "true", "allow_redirects": "always"}
    assert call.sent["metadata"] == {
        "flint_operation_id": request.operation_id,
        "flint_payment_intent_id": request.payment_intent_id,
        "flint_order_id": request.order_id,
        "flint_environment_id": stripe_environment.id,
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("card_chargeDeclined", "card_declined"),
        ("card_visa_chargeDeclined", "card_declined"),
        ("card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("card_visa_chargeDeclinedLostCard", "card_declined"),
        ("card_visa_chargeDeclinedStolenCard", "card_declined"),
        ("card_chargeDeclinedExpiredCard", "expired_card"),
        ("card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
        ("card_chargeDeclinedProcessingError", "processing_error"),
        ("card_visa_chargeDeclinedVelocityLimitExceeded", "insufficient_funds"),
        ("card_chargeDeclinedFraudulent", "payment_blocked"),
        ("card_chargeCustomerFail", "card_declined"),
    ],
)
def test_a_decline_is_an_answer_and_moves_nothing(stripe_server, stripe_environment, name, code):
    payment = pay(stripe_environment, f"pm_{name}")

    assert (payment.status, payment.error_code) == ("requires_payment_method", code)
    assert payment.error_message
    assert payment.source.type == "card"
    assert payment.captured_amount == payment.authorized_amount == 0
    assert see(payment) == payment
    assert charged(stripe_server) == []


def test_a_hold_says_until_when_it_can_be_captured(stripe_server, stripe_environment):
    payment = hold(stripe_environment)

    assert payment.status == "requires_capture"
    assert (payment.authorized_amount, payment.captured_amount) == (10_000, 0)
    week = datetime.now(UTC) + timedelta(days=7)
    assert abs(payment.authorization_expires_at - week) < timedelta(minutes=1)
    assert charged(stripe_server) == []


@pytest.mark.parametrize("name", ["card_threeDSecure2Required", "card_authenticationRequired"])
@pytest.mark.parametrize(("passed", "status"), [(True, "succeeded"), (False, "requires_payment_method")])
def test_a_card_may_want_the_buyer_first(stripe_server, stripe_environment, name, passed, status):
    payment = pay(stripe_environment, f"pm_{name}")

    assert payment.status == "requires_action"
    assert payment.action.client_secret.startswith(f"{payment.reference}_secret_")
    assert payment.action.publishable_key == stripe_server.publishable_key
    assert payment.action.account_id is None
    assert payment.action == see(payment).action
    assert charged(stripe_server) == []

    stripe_server.authenticate(payment.reference, passed=passed)

    after = see(payment)
    assert (after.status, after.action) == (status, None)
    assert after.error_code == ("" if passed else "authentication_required")
    assert charged(stripe_server) == ([10_000] if passed else [])


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("success", "succeeded", ""),
        ("processing", "processing", ""),
        ("insufficientFunds", "requires_payment_method", "insufficient_funds"),
        ("accountClosed", "requires_payment_method", "bank_account_closed"),
        ("noAccount", "requires_payment_method", "bank_account_not_found"),
        ("debitNotAuthorized", "requires_payment_method", "bank_debit_not_authorized"),
    ],
)
def test_a_bank_debit_takes_days(stripe_server, stripe_environment, name, status, code):
    payment = pay(stripe_environment, f"pm_usBankAccount_{name}", money=Money(10_000, "USD"))
    assert payment.status == "processing"
    assert payment.source == SourceSummary("ach_debit", "", payment.source.last4, "STRIPE TEST BANK", "checking")

    stripe_server.advance(5 * 24 * 3600)

    after = see(payment)
    assert (after.status, after.error_code) == (status, code)
    assert after.captured_amount == (10_000 if status == "succeeded" else 0)


def test_a_bank_token_without_the_consent_that_it_needs_is_refused(stripe_server, stripe_environment):
    stripe_server.book.needs_mandates = True

    with pytest.raises(Refused) as refusal:
        pay(stripe_environment, "pm_usBankAccount_success", money=Money(10_000, "USD"))

    assert refusal.value.code == "bank_debit_not_authorized"
    assert pay(stripe_environment, "ctoken_usBankAccount_success", money=Money(10_000, "USD")).status == "processing"


@pytest.mark.parametrize("changes", [{"money": eur(10_000)}, {"capture_method": "manual"}])
def test_a_bank_account_that_does_not_go_with_the_payment_is_refused(stripe_server, stripe_environment, changes):
    with pytest.raises(Refused) as refusal:
        pay(stripe_environment, "pm_usBankAccount_success", **{"money": Money(10_000, "USD"), **changes})

    assert refusal.value.code == "payment_method_unavailable"
    assert stripe_server.book.payments == {}


@pytest.mark.parametrize("token", ["pm_card_unknown", "ctoken_card_unknown", "pm_", "pm_1Pgaft"])
def test_an_unknown_token_is_refused_and_leaves_no_payment(stripe_server, stripe_environment, token):
    with pytest.raises(Refused) as refusal:
        pay(stripe_environment, token)

    assert refusal.value.code == "invalid_payment_source"
    assert stripe_server.book.payments == {}


@pytest.mark.parametrize(
    ("money", "code"),
    [
        (eur(10), "amount_too_small"),
        (eur(100_000_000), "amount_too_large"),
        (Money(5_124, "KWD"), "payment_failed"),
    ],
)
def test_an_amount_that_stripe_does_not_take_is_refused(stripe_server, stripe_environment, money, code):
    with pytest.raises(Refused) as refusal:
        pay(stripe_environment, money=money)

    assert refusal.value.code == code
    assert stripe_server.book.payments == {}


@pytest.mark.parametrize(
    ("money", "at_stripe"),
    [(Money(500, "JPY"), 500), (Money(5_120, "KWD"), 5_120), (Money(5, "ISK"), 500), (Money(50, "RSD"), 5_000)],
)
def test_a_currency_of_other_digits_arrives_as_it_was_meant(stripe_server, stripe_environment, money, at_stripe):
    payment = pay(stripe_environment, money=money)

    assert payment.money == money
    assert payment.captured_amount == money.amount
    assert charged(stripe_server) == [at_stripe]


def test_the_same_operation_is_one_payment_shown_as_it_is_now(stripe_server, stripe_environment):
    request = payment_request(stripe_environment, capture_method="manual")
    payment = processor.confirm(request)
    capture(payment, eur(6_000))

    again = processor.confirm(request)

    assert again.reference == payment.reference
    assert (again.status, again.captured_amount) == ("succeeded", 6_000)
    assert charged(stripe_server) == [6_000]


def test_a_repeated_decline_is_the_same_decline(stripe_server, stripe_environment):
    request = payment_request(stripe_environment, "pm_card_chargeDeclined")

    assert processor.confirm(request) == processor.confirm(request)
    assert len(stripe_server.book.payments) == 1


def test_a_payment_is_found_by_its_operation(stripe_server, stripe_environment):
    since = datetime.now(UTC)
    payment = pay(stripe_environment)
    for _ in range(120):
        stripe_server.book.create_intent({"amount": 500, "currency": "eur"})

    def find(operation_id, **window):
        return processor.find_payment(environment_id=stripe_environment.id, operation_id=operation_id, **window)

    assert find(payment.operation_id, since=since) == payment
    assert find(payment.operation_id) == payment
    assert find(new_id("pop"), since=since) is None
    assert find("") is None
    assert find(payment.operation_id, since=since + timedelta(hours=2)) is None
    assert stripe_server.moves() == [call for call in stripe_server.calls if call.path == "/v1/payment_intents"][:1]


def test_a_payment_of_another_account_is_not_there(stripe_server, stripe_environment):
    payment = pay(stripe_environment)

    assert see(replace(payment, reference="pi_nothing")) is None
    assert see(replace(payment, reference="sbp_01J9Z6W2V7Q0M3T8K4B5N6P7R8")) is None
    assert see(replace(payment, reference="")) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda held, environment: pay(environment),
        lambda held, environment: capture(held, eur(100)),
        lambda held, environment: cancel(held),
        lambda held, environment: give_back(held, eur(100)),
    ],
)
def test_moving_money_inside_a_transaction_is_a_defect(stripe_server, stripe_environment, call):
    held = hold(stripe_environment)

    with transaction.atomic(), pytest.raises(RuntimeError, match="was called inside a transaction"):
        call(held, stripe_environment)

    assert len(stripe_server.moves()) == 1


def test_what_a_browser_needs_is_no_secret(stripe_server, stripe_environment):
    assert processor.collection(environment_id=stripe_environment.id) == {
        "publishable_key": stripe_server.publishable_key
    }
