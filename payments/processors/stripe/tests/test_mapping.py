"""The tables: every row says what it says, and what is not in them becomes the contract's fallback."""

import json
from typing import get_args

import pytest
import stripe
from babel.numbers import list_currencies

from flint.money import Money, exponent, is_known_currency
from payments.processors.base import DoesNotFit, Refused
from payments.processors.stripe import mapping
from payments.processors.stripe.client import SECRETS, words_of
from payments.processors.stripe.mapping import Outcome


def error_of(kind: type[stripe.StripeError], code: str | None = None) -> stripe.StripeError:
    """Make an exception of the SDK as it makes them itself."""
    if kind in (stripe.CardError, stripe.InvalidRequestError):
        return kind("no", None, code)
    return kind("no", code=code)


@pytest.mark.parametrize(("kind", "outcome"), mapping.CLASSES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_every_error_class_has_a_meaning(kind, outcome):
    assert mapping.outcome_of(error_of(kind)) is outcome


def test_an_error_class_of_a_later_sdk_is_an_unknown_outcome():
    class LaterError(stripe.StripeError):
        pass

    assert mapping.outcome_of(LaterError("no")) is Outcome.UNKNOWN


@pytest.mark.parametrize("code", sorted(mapping.MISCONFIGURATIONS))
def test_a_code_about_the_account_is_a_matter_of_configuration(code):
    assert mapping.outcome_of(error_of(stripe.InvalidRequestError, code)) is Outcome.MISCONFIGURED


@pytest.mark.parametrize("kind", [stripe.InvalidRequestError, stripe.APIError, stripe.IdempotencyError])
def test_a_key_in_use_is_an_unknown_outcome_whatever_its_class(kind):
    assert mapping.outcome_of(error_of(kind, "idempotency_key_in_use")) is Outcome.UNKNOWN


@pytest.mark.parametrize(("said", "code"), mapping.DECLINES.items())
def test_every_decline_is_one_of_the_contract(said, code):
    assert code in mapping.CODES
    assert mapping.decline_code({"decline_code": said, "code": "card_declined"}) == code
    assert mapping.decline_code({"code": said}) == code


def test_the_issuers_reason_counts_before_stripes():
    assert mapping.decline_code({"decline_code": "insufficient_funds", "code": "card_declined"}) == "insufficient_funds"
    assert mapping.decline_code({"decline_code": "brand_new", "code": "expired_card"}) == "expired_card"
    assert mapping.decline_code({"decline_code": "brand_new", "code": "as_new"}) == "payment_failed"
    assert mapping.decline_code({}) == "payment_failed"


def test_a_bank_account_is_not_called_a_card():
    said = {"code": "card_declined", "payment_method": {"type": "us_bank_account"}}

    assert mapping.decline_code(said) == "payment_method_declined"


def test_every_code_of_the_contract_but_the_fallback_can_be_reached():
    assert set(mapping.DECLINES.values()) == mapping.CODES - {"payment_failed"}


def test_every_payment_error_code_of_the_sdk_is_mapped_or_left_out_on_purpose():
    hint = stripe.PaymentIntent.LastPaymentError.__annotations__["code"]
    codes = {code for part in get_args(hint) for code in get_args(part)}
    assert "card_declined" in codes
    about_payments = {code for code in codes if code.startswith(("payment_intent_", "payment_method_"))}
    left_out = {
        # Of methods that Flint does not take, of set-ups, or about how we called.
        "payment_intent_invalid_parameter",
        "payment_intent_konbini_rejected_confirmation_number",
        "payment_method_bank_account_already_verified",
        "payment_method_billing_details_address_missing",
        "payment_method_microdeposit_processing_error",
        "payment_method_microdeposit_verification_amounts_invalid",
        "payment_method_microdeposit_verification_amounts_mismatch",
        "payment_method_microdeposit_verification_descriptor_code_mismatch",
    }

    assert about_payments - left_out <= mapping.DECLINES.keys() | mapping.REFUSALS.keys()


def test_every_setup_error_code_of_the_sdk_is_mapped_or_left_out_on_purpose():
    hint = stripe.SetupIntent.LastSetupError.__annotations__["code"]
    codes = {code for part in get_args(hint) for code in get_args(part)}
    about_setups = {code for code in codes if code.startswith("setup_")}
    assert "setup_intent_authentication_failure" in about_setups
    left_out = {"setup_intent_invalid_parameter"}  # about how we called

    assert about_setups - left_out <= mapping.DECLINES.keys() | mapping.REFUSALS.keys()


def test_every_error_class_of_the_sdk_is_in_the_table_or_an_unknown_outcome():
    """Those that are in no row belong to calls that are not made here; were one to come, only asking could tell."""
    found, waiting = set(), [stripe.StripeError]
    while waiting:
        kind = waiting.pop()
        found.add(kind)
        waiting += kind.__subclasses__()
    assert {stripe.CardError, stripe.APIConnectionError, stripe.TemporarySessionExpiredError} <= found

    for kind in found - mapping.CLASSES.keys():
        assert mapping.outcome_of(kind.__new__(kind)) is Outcome.UNKNOWN, kind


@pytest.mark.parametrize(("said", "code"), mapping.REFUSALS.items())
def test_every_refusal_has_its_code(said, code):
    assert mapping.refusal_code({"code": said}) == code


@pytest.mark.parametrize(
    ("details", "code"),
    [
        ({"code": "resource_missing", "param": "payment_method"}, "invalid_payment_source"),
        ({"code": "resource_missing", "param": "confirmation_token"}, "invalid_payment_source"),
        ({"code": "resource_missing", "param": "intent"}, "not_found"),
        ({"code": "resource_missing", "param": "id"}, "not_found"),
        ({"code": "parameter_invalid_empty", "param": "payment_method"}, "invalid_payment_source"),
        ({"code": "parameter_missing", "param": "mandate_data"}, "bank_debit_not_authorized"),
        ({"code": "payment_method_unactivated"}, "payment_method_unavailable"),
        ({"param": "amount"}, "amount_too_large"),
        ({"param": "amount_to_capture"}, "amount_too_large"),
        ({"code": "parameter_unknown", "param": "amount"}, "payment_failed"),
        ({}, "payment_failed"),
    ],
)
def test_a_refusal_is_read_from_its_parameter_where_it_has_no_code(details, code):
    assert mapping.refusal_code(details) == code


@pytest.mark.parametrize(
    ("minor", "currency", "at_stripe"),
    [
        (1_999, "EUR", 1_999),
        (500, "JPY", 500),
        (500, "KRW", 500),
        (5_120, "KWD", 5_120),
        (5, "ISK", 500),
        (5, "UGX", 500),
        (7, "RSD", 700),
        (7, "LBP", 700),
        (1_050, "HUF", 1_050),
        (10_000, "TWD", 10_000),
        (3, "VUV", 3),
    ],
)
def test_an_amount_is_written_as_stripe_counts_it_and_read_back(minor, currency, at_stripe):
    assert mapping.to_stripe(Money(minor, currency)) == at_stripe
    assert mapping.from_stripe(at_stripe, currency.lower()) == Money(minor, currency)


@pytest.mark.parametrize("currency", sorted(mapping.THREE_DECIMAL))
def test_an_amount_that_stripe_would_have_rounded_is_refused(currency):
    with pytest.raises(Refused) as refusal:
        mapping.to_stripe(Money(5_124, currency))

    assert refusal.value.code == "payment_failed"
    assert "last digit is 0" in refusal.value.message
    assert mapping.to_stripe(Money(5_120, currency)) == 5_120


@pytest.mark.parametrize("currency", ["ISK", "UGX", "RSD"])
def test_a_fraction_that_flint_does_not_count_does_not_fit(currency):
    with pytest.raises(DoesNotFit):
        mapping.from_stripe(550, currency)


def test_in_every_currency_an_amount_means_the_same_on_both_sides():
    for currency in filter(is_known_currency, list_currencies()):
        money = Money(1_230, currency)
        if mapping.digits(currency) >= exponent(currency):
            sent = mapping.to_stripe(money)
            assert sent * 10 ** exponent(currency) == money.amount * 10 ** mapping.digits(currency), currency
            assert mapping.from_stripe(sent, currency) == money


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ("payment_intent.succeeded", ("payment", "id")),
        ("payment_intent.of_the_future", ("payment", "id")),
        ("charge.captured", ("payment", "payment_intent")),
        ("charge.refunded", ("payment", "payment_intent")),
        ("charge.refund.updated", ("refund", "id")),
        ("refund.failed", ("refund", "id")),
        ("charge.dispute.created", ("dispute", "id")),
        ("charge.dispute.funds_withdrawn", ("dispute", "id")),
        ("payout.paid", ("payout", "id")),
        ("payout.reconciliation_completed", ("payout", "id")),
        ("setup_intent.setup_failed", ("setup", "id")),
        ("customer.created", ("other", "id")),
        ("payment_method.detached", ("other", "id")),
    ],
)
def test_an_event_is_about_an_object_that_matters_or_something_else(event, found):
    assert mapping.kind_of(event) == found


def test_every_cancel_reason_of_the_contract_comes_back_as_it_went():
    assert {reason: mapping.CANCELLATIONS[reason] for reason in mapping.CANCEL_REASONS} == {
        reason: reason for reason in ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
    }


@pytest.mark.parametrize(
    "secret", ["sk_test_51Hq", "rk_live_abc", "whsec_abc", "pi_3Mt_secret_YrKJ", "seti_1_secret_x"]
)
def test_what_looks_like_a_secret_is_taken_out_of_words(secret):
    words = words_of({"message": f"No such thing: '{secret}' at all"})

    assert secret not in words
    assert not SECRETS.search(json.dumps(words))
    assert words.startswith("No such thing: '…")
