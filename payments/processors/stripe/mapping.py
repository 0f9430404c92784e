"""
Stripe's words and Flint's, side by side. Nothing here calls anybody; every row has a test.

An error of the SDK says first whether anything was done (:data:`CLASSES`), and a no says why (:data:`REFUSALS`,
:data:`DECLINES`). What a table does not know becomes the contract's own fallback, never a guess.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import stripe

from flint.money import Money, exponent, is_known_currency
from payments.processors.base import DoesNotFit, Refused


class Outcome(Enum):
    """What an error of the SDK means for the call that met it."""

    DECLINED = "declined"  # the buyer's bank said no; the payment exists and took nothing
    REFUSED = "refused"  # Stripe said no; nothing was done
    NOT_DONE = "not_done"  # never taken up; the same call may be made again
    MISCONFIGURED = "misconfigured"  # the keys are wrong; nothing is done until somebody mends them
    UNKNOWN = "unknown"  # it may or may not have been done; only asking can tell


CLASSES: dict[type[stripe.StripeError], Outcome] = {
    stripe.CardError: Outcome.DECLINED,  # 402
    stripe.InvalidRequestError: Outcome.REFUSED,  # 400, 404
    stripe.RateLimitError: Outcome.NOT_DONE,  # 429, also for an object that another request has locked
    stripe.AuthenticationError: Outcome.MISCONFIGURED,  # 401
    stripe.PermissionError: Outcome.MISCONFIGURED,  # 403
    # The key was used for something else before, so something of ours may exist under it: never a plain no.
    stripe.IdempotencyError: Outcome.UNKNOWN,  # 400
    # Also 409, another request with the same key is under way; and a 500 that Stripe remembered and repeats.
    stripe.APIError: Outcome.UNKNOWN,  # 409, 5xx, and answers that are none of Stripe's
    stripe.APIConnectionError: Outcome.UNKNOWN,  # unless it surely was never sent: client.was_never_sent
    stripe.StripeError: Outcome.UNKNOWN,
}

MISCONFIGURATIONS = frozenset(
    {
        "account_invalid",
        "api_key_expired",
        "livemode_mismatch",
        "not_allowed_on_standard_account",
        "platform_account_required",
        "platform_api_key_expired",
        "secret_key_required",
        "testmode_charges_only",
        "tls_version_unsupported",
    }
)
"""Codes of an ``InvalidRequestError`` that are about the keys or the account, not about the request."""

IN_FLIGHT = frozenset({"idempotency_key_in_use"})
"""Codes that say another call of ours is under way, whatever class the SDK gives them."""

CODES = frozenset(
    {
        "card_declined",
        "insufficient_funds",
        "expired_card",
        "incorrect_cvc",
        "processing_error",
        "authentication_required",
        "payment_blocked",
        "payment_method_unavailable",
        "payment_method_declined",
        "payment_method_temporarily_unavailable",
        "payment_not_completed",
        "payment_action_expired",
        "bank_account_closed",
        "bank_account_not_found",
        "bank_debit_not_authorized",
        "bank_account_restricted",
        "bank_debit_limit_exceeded",
        "payment_failed",
    }
)
"""The contract's reasons why a payment failed; the last is the fallback."""

DECLINES: dict[str, str] = {
    # Decline codes of cards. "fraudulent", "lost_card" and their like are not told apart, as Stripe asks.
    "approve_with_id": "card_declined",
    "authentication_not_handled": "authentication_required",
    "authentication_required": "authentication_required",
    "call_issuer": "card_declined",
    "card_not_supported": "payment_method_unavailable",
    "card_velocity_exceeded": "insufficient_funds",
    "currency_not_supported": "payment_method_unavailable",
    "do_not_honor": "card_declined",
    "do_not_try_again": "card_declined",
    "duplicate_transaction": "card_declined",
    "expired_card": "expired_card",
    "fraudulent": "payment_blocked",
    "generic_decline": "card_declined",
    "highest_risk_level": "payment_blocked",
    "incorrect_address": "card_declined",
    "incorrect_cvc": "incorrect_cvc",
    "incorrect_number": "card_declined",
    "incorrect_pin": "card_declined",
    "incorrect_zip": "card_declined",
    "insufficient_funds": "insufficient_funds",
    "invalid_account": "card_declined",
    "invalid_amount": "card_declined",
    "invalid_cvc": "incorrect_cvc",
    "invalid_expiry_month": "expired_card",
    "invalid_expiry_year": "expired_card",
    "invalid_number": "card_declined",
    "invalid_pin": "card_declined",
    "issuer_not_available": "payment_method_temporarily_unavailable",
    "live_mode_test_card": "card_declined",
    "lost_card": "card_declined",
    "merchant_blacklist": "payment_blocked",
    "mobile_device_authentication_required": "authentication_required",
    "new_account_information_available": "card_declined",
    "no_action_taken": "card_declined",
    "not_permitted": "card_declined",
    "offline_pin_required": "card_declined",
    "online_or_offline_pin_required": "card_declined",
    "pickup_card": "card_declined",
    "pin_try_exceeded": "card_declined",
    "previously_declined_do_not_retry": "payment_blocked",
    "processing_error": "processing_error",
    "reenter_transaction": "processing_error",
    "restricted_card": "card_declined",
    "revocation_of_all_authorizations": "card_declined",
    "revocation_of_authorization": "card_declined",
    "rule": "payment_blocked",
    "security_violation": "card_declined",
    "service_not_allowed": "card_declined",
    "stolen_card": "card_declined",
    "stop_payment_order": "card_declined",
    "test_mode_decline": "card_declined",
    "testmode_decline": "card_declined",
    "transaction_not_allowed": "card_declined",
    "try_again_later": "payment_method_temporarily_unavailable",
    "withdrawal_count_limit_exceeded": "insufficient_funds",
    # Error codes, of cards and of whole payments.
    "approval_required": "authentication_required",
    "authentication_failure": "authentication_required",
    "card_decline_rate_limit_exceeded": "payment_blocked",
    "card_declined": "card_declined",
    "charge_exceeds_source_limit": "payment_method_declined",
    "charge_exceeds_transaction_limit": "payment_method_declined",
    "expired_payment_method": "expired_card",
    "incorrect_postal_code": "card_declined",
    "invalid_card_type": "payment_method_unavailable",
    "payment_intent_action_required": "authentication_required",
    "payment_intent_authentication_failure": "authentication_required",
    "payment_intent_incompatible_payment_method": "payment_method_unavailable",
    "payment_intent_mandate_invalid": "bank_debit_not_authorized",
    "payment_intent_payment_attempt_expired": "payment_action_expired",
    "payment_intent_payment_attempt_failed": "payment_method_declined",
    "payment_intent_rate_limit_exceeded": "payment_blocked",
    "payment_method_bank_account_blocked": "bank_account_restricted",
    "payment_method_configuration_failures": "payment_method_unavailable",
    "payment_method_currency_mismatch": "payment_method_unavailable",
    "payment_method_customer_decline": "payment_not_completed",
    "payment_method_microdeposit_failed": "bank_account_not_found",
    "payment_method_microdeposit_verification_attempts_exceeded": "bank_debit_not_authorized",
    "payment_method_microdeposit_verification_timeout": "payment_action_expired",
    "payment_method_not_available": "payment_method_temporarily_unavailable",
    "payment_method_provider_decline": "payment_method_declined",
    "payment_method_provider_timeout": "payment_method_temporarily_unavailable",
    "payment_method_restricted": "payment_blocked",
    "payment_method_unactivated": "payment_method_unavailable",
    "payment_method_unexpected_state": "payment_method_unavailable",
    "payment_method_unsupported_type": "payment_method_unavailable",
    "refer_to_customer": "payment_method_declined",
    "request_blocked": "payment_blocked",
    "three_d_secure_authentication_not_supported": "authentication_required",
    "three_d_secure_authentication_upstream_error": "payment_method_temporarily_unavailable",
    # Error codes of saving a method.
    "customer_max_payment_methods": "payment_method_unavailable",
    "setup_attempt_failed": "payment_method_declined",
    "setup_intent_authentication_failure": "authentication_required",
    "setup_intent_mandate_invalid": "bank_debit_not_authorized",
    "setup_intent_mobile_wallet_unsupported": "payment_method_unavailable",
    "setup_intent_setup_attempt_expired": "payment_action_expired",
    # Bank debits.
    "account_closed": "bank_account_closed",
    "account_frozen": "bank_account_restricted",
    "account_number_invalid": "bank_account_not_found",
    "bank_account_closed": "bank_account_closed",
    "bank_account_declined": "payment_method_declined",
    "bank_account_restricted": "bank_account_restricted",
    "bank_account_unusable": "bank_account_restricted",
    "bank_account_unverified": "bank_debit_not_authorized",
    "bank_account_verification_failed": "bank_account_not_found",
    "bank_ownership_changed": "bank_account_restricted",
    "billing_invalid_mandate": "bank_debit_not_authorized",
    "could_not_process": "processing_error",
    "debit_disputed": "bank_debit_not_authorized",
    "debit_not_authorized": "bank_debit_not_authorized",
    "incorrect_account_holder_name": "bank_account_not_found",
    "invalid_currency": "payment_method_unavailable",
    "no_account": "bank_account_not_found",
    "payment_limit_exceeded": "bank_debit_limit_exceeded",
    "routing_number_invalid": "bank_account_not_found",
    "sepa_unsupported_account": "payment_method_unavailable",
}
"""Every decline code and payment error code of Stripe's in the contract's words."""

REFUSALS: dict[str, str] = {
    "amount_too_large": "amount_too_large",
    "amount_too_small": "amount_too_small",
    "balance_insufficient": "insufficient_available_balance",
    "capture_charge_authorization_expired": "invalid_state",
    "capture_unauthorized_payment": "invalid_state",
    "charge_already_captured": "invalid_state",
    "charge_already_refunded": "invalid_state",
    "charge_disputed": "payment_disputed",
    "charge_expired_for_capture": "invalid_state",
    "charge_not_refundable": "invalid_state",
    "insufficient_funds": "insufficient_available_balance",
    "intent_invalid_state": "invalid_state",
    "invalid_charge_amount": "payment_failed",
    "parameter_unknown": "payment_failed",
    "payment_intent_unexpected_state": "invalid_state",
    "payment_method_invalid_parameter": "invalid_payment_source",
    "payment_method_invalid_parameter_testmode": "invalid_payment_source",
    "refund_disputed_payment": "payment_disputed",
    "setup_intent_unexpected_state": "invalid_state",
    "status_transition_invalid": "invalid_state",
    "token_already_used": "invalid_payment_source",
    "token_in_use": "invalid_payment_source",
}
"""Why Stripe said no to a call as it stands; declines are looked up after these."""

SOURCES = frozenset({"payment_method", "confirmation_token", "source"})
"""Parameters that name what to pay with."""

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""
Digits that Stripe gives a currency's minor unit; two for all others. They are Stripe's own: ISK and UGX have none any
more but are still written with two, always 00, and so are some that Flint, with CLDR, counts in whole units.
Stripe's page names UGX among those without digits as well, but its special cases say 500 for 5 UGX, and it refuses an
amount that 100 does not divide. HUF and TWD are whole only in payouts; they have two digits there, too.
"""

REFUND_REASONS = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
"""Reasons that Stripe knows; another reason of the contract's is not forwarded."""

REFUND_FAILURES: dict[str, str] = {
    "charge_for_pending_refund_disputed": "payment_disputed",
    "declined": "declined",
    "expired_or_canceled_card": "expired_or_canceled_card",
    "insufficient_funds": "insufficient_funds",
    "lost_or_stolen_card": "lost_or_stolen_card",
    "merchant_request": "merchant_request",
    "unknown": "refund_failed",
}

CANCEL_REASONS = frozenset({"abandoned", "duplicate", "fraudulent", "requested_by_customer"})
"""Reasons that Stripe takes for a cancel."""

CANCELLATIONS: dict[str, str] = {
    **{reason: reason for reason in sorted(CANCEL_REASONS)},
    # Stripe lets a hold go by itself as "automatic", and has "expired" too; both only where something was held.
    "automatic": "authorization_expired",
    "expired": "authorization_expired",
    "failed_invoice": "invoice_payment_failed",
    "void_invoice": "invoice_voided",
}

BRANDS = frozenset({"visa", "mastercard", "amex", "discover", "diners", "jcb", "unionpay"})
ACCOUNT_TYPES = frozenset({"checking", "savings"})

NOTICES: dict[str, tuple[str, str]] = {
    "payment_intent.": ("payment", "id"),
    "charge.refund.": ("refund", "id"),
    "charge.dispute.": ("dispute", "id"),
    "charge.": ("payment", "payment_intent"),
    "payout.": ("payout", "id"),
    "refund.": ("refund", "id"),
    "setup_intent.": ("setup", "id"),
}
"""By the beginning of an event's type: the kind of object to fetch, and where its reference is. The first counts."""


def outcome_of(error: stripe.StripeError) -> Outcome:
    """Return what an error of the SDK means; the nearest class in :data:`CLASSES` decides."""
    outcome = next(CLASSES[kind] for kind in type(error).__mro__ if kind in CLASSES)
    code = getattr(error, "code", None)
    if code in IN_FLIGHT:
        return Outcome.UNKNOWN
    if outcome is Outcome.REFUSED and code in MISCONFIGURATIONS:
        return Outcome.MISCONFIGURED
    return outcome


def decline_code(details: Mapping[str, Any]) -> str:
    """Return the contract's code for a decline: by the issuer's reason, else by Stripe's own; its own stand."""
    is_bank = details.get("payment_method", {}) and _type_of(details["payment_method"]) == "us_bank_account"
    for said in (details.get("decline_code"), details.get("code")):
        if said in DECLINES:
            found = DECLINES[said]
            # A bank account has no card to blame.
            return "payment_method_declined" if is_bank and found == "card_declined" else found
        if said in CODES:
            return said
    return "payment_failed"


def refusal_code(details: Mapping[str, Any]) -> str:
    """Return the contract's code for a no that is not the buyer's bank's."""
    code, param = details.get("code"), str(details.get("param") or "")
    if code == "resource_missing":
        return "invalid_payment_source" if param in SOURCES else "not_found"
    if param.startswith("mandate_data"):
        # A raw token of a bank account may need the buyer's consent in the same call; a confirmation token brings it.
        return "bank_debit_not_authorized"
    if code in REFUSALS:
        return REFUSALS[code]
    if code in DECLINES:
        return DECLINES[code]
    if param in SOURCES:
        return "invalid_payment_source"
    # Stripe has no code for more than is left to refund or capture; it names the parameter only.
    if code is None and param in ("amount", "amount_to_capture"):
        return "amount_too_large"
    return "payment_failed"


def digits(currency: str) -> int:
    """Return how many digits of a currency Stripe counts as minor units."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def to_stripe(money: Money) -> int:
    """
    Return an amount as Stripe counts it.

    :raises Refused: if Stripe cannot take exactly this amount. Nothing is ever rounded.
    """
    more = digits(money.currency) - exponent(money.currency)
    amount, rest = (money.amount * 10**more, 0) if more >= 0 else divmod(money.amount, 10**-more)
    if rest or (money.currency in THREE_DECIMAL and amount % 10):
        raise Refused(
            "payment_failed",
            f"Stripe takes {money.currency} only in amounts whose last digit is 0; {money.amount} minor units are not.",
        )
    return amount


def from_stripe(amount: int, currency: str) -> Money:
    """
    Return an amount of Stripe's as Flint counts it.

    :raises DoesNotFit: if it is a fraction of the smallest unit that Flint counts.
    """
    currency = currency.upper()
    if not is_known_currency(currency):
        raise DoesNotFit(f"{currency} is no currency here")
    more = digits(currency) - exponent(currency)
    whole, rest = divmod(amount, 10**more) if more >= 0 else (amount * 10**-more, 0)
    if rest:
        raise DoesNotFit(f"{amount} of Stripe's {currency} is no whole amount here")
    return Money(whole, currency)


def kind_of(event_type: str) -> tuple[str, str]:
    """Return the kind of object that an event is about, and the field that holds its reference."""
    return next((found for prefix, found in NOTICES.items() if event_type.startswith(prefix)), ("other", "id"))


def _type_of(payment_method: Any) -> str:
    return payment_method.get("type", "") if isinstance(payment_method, Mapping) else ""
