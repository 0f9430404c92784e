"""The published test tokens, by what they do: ``pm_`` or ``ctoken_`` and one of these names, as in ``pm_card_visa``."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from flint.testing.stripe_server.errors import missing


@dataclass(frozen=True, slots=True)
class Source:
    """
    How a source takes a payment and a refund. ``code`` and ``decline_code`` are those of its decline.

    ``dispute`` is why it is disputed once money was taken, and whether with a question first. One that ``remembers``
    asks for 3-D Secure no more once it was saved with it; one that ``declines_later`` can be saved all the same.
    """

    outcome: Literal["approve", "decline", "authenticate", "debit"]
    last4: str
    brand: str = "visa"
    code: str = ""
    decline_code: str = ""
    message: str = ""
    refund: Literal["succeed", "fail_later", "pend"] = "succeed"
    dispute: tuple[str, bool] | None = None
    remembers: bool = False
    declines_later: bool = False

    @property
    def is_bank(self) -> bool:
        """Tell a bank account from a card."""
        return self.outcome == "debit"

    @property
    def details(self) -> dict[str, Any]:
        """What Stripe shows of it, the same on a payment method and on a charge."""
        if self.is_bank:
            return {
                "type": "us_bank_account",
                "us_bank_account": {
                    "account_holder_type": "individual",
                    "account_type": "checking",
                    "bank_name": "STRIPE TEST BANK",
                    "fingerprint": "FFDMA0jJFsVBuhPq",
                    "last4": self.last4,
                    "routing_number": "110000000",
                },
            }
        return {
            "type": "card",
            "card": {
                "brand": self.brand,
                "country": "US",
                "exp_month": 8,
                "exp_year": 2034,
                "fingerprint": "AOB934RVNwzk6xtn",
                "funding": "credit",
                "last4": self.last4,
                "network": self.brand,
                "wallet": None,
            },
        }


def _declined(last4: str, code: str, decline_code: str = "", message: str = "Your card was declined.") -> Source:
    return Source("decline", last4, code=code, decline_code=decline_code, message=message)


SOURCES = {
    "card_visa": Source("approve", "4242"),
    "card_mastercard": Source("approve", "4444", "mastercard"),
    "card_amex": Source("approve", "8431", "amex"),
    "card_discover": Source("approve", "1117", "discover"),
    "card_diners": Source("approve", "0004", "diners"),
    "card_jcb": Source("approve", "0505", "jcb"),
    "card_unionpay": Source("approve", "0005", "unionpay"),
    "card_pendingRefund": Source("approve", "7726", refund="pend"),
    "card_refundFail": Source("approve", "5126", refund="fail_later"),
    "card_chargeDeclined": _declined("0002", "card_declined", "generic_decline"),
    "card_visa_chargeDeclined": _declined("0002", "card_declined", "generic_decline"),
    "card_chargeDeclinedInsufficientFunds": _declined(
        "9995", "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "card_visa_chargeDeclinedInsufficientFunds": _declined(
        "9995", "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "card_visa_chargeDeclinedLostCard": _declined("9987", "card_declined", "lost_card"),
    "card_visa_chargeDeclinedStolenCard": _declined("9979", "card_declined", "stolen_card"),
    "card_chargeDeclinedExpiredCard": _declined("0069", "expired_card", "", "Your card has expired."),
    "card_chargeDeclinedIncorrectCvc": _declined("0127", "incorrect_cvc", "", "Your card's security code is wrong."),
    "card_chargeDeclinedProcessingError": _declined(
        "0119", "processing_error", "", "An error occurred while processing your card. Try again in a little bit."
    ),
    "card_visa_chargeDeclinedVelocityLimitExceeded": _declined("6975", "card_declined", "card_velocity_exceeded"),
    "card_chargeDeclinedFraudulent": _declined("0019", "card_declined", "fraudulent"),
    "card_chargeCustomerFail": replace(_declined("0341", "card_declined", "generic_decline"), declines_later=True),
    "card_createDispute": Source("approve", "0259", dispute=("fraudulent", False)),
    "card_createDisputeProductNotReceived": Source("approve", "2685", dispute=("product_not_received", False)),
    "card_createDisputeInquiry": Source("approve", "1976", dispute=("general", True)),
    "card_threeDSecure2Required": Source("authenticate", "3220"),
    "card_authenticationRequired": Source("authenticate", "3155", remembers=True),
    "usBankAccount_success": Source("debit", "6789"),
    "usBankAccount_processing": Source("debit", "0009", code="never"),
    "usBankAccount_dispute": Source("debit", "5559", dispute=("debit_not_authorized", False)),
    "usBankAccount_insufficientFunds": Source(
        "debit", "2227", code="insufficient_funds", message="The customer's account has insufficient funds."
    ),
    "usBankAccount_accountClosed": Source(
        "debit", "1113", code="account_closed", message="The customer's bank account has been closed."
    ),
    "usBankAccount_noAccount": Source(
        "debit", "1116", code="no_account", message="The customer's bank account could not be located."
    ),
    "usBankAccount_debitNotAuthorized": Source(
        "debit", "1115", code="debit_not_authorized", message="The customer says that they did not authorize this."
    ),
}


ON_SESSION = "_onSession"
"""How the name of a ConfirmationToken ends here whose browser asked for the card to be kept."""


def find(token: str, *, param: str) -> Source:
    """Return what a token stands for. :raises ApiError: if it stands for nothing."""
    prefix, _, name = token.removesuffix(ON_SESSION).partition("_")
    if prefix != ("ctoken" if param == "confirmation_token" else "pm") or name not in SOURCES:
        raise missing("ConfirmationToken" if param == "confirmation_token" else "PaymentMethod", token, param=param)
    return SOURCES[name]
