"""
Payment sources of the sandbox: published test tokens, test numbers, and how each of them behaves.

A token is ``pm_`` or ``ctoken_`` and a published name (``pm_card_visa``), or one made from a number by
:func:`tokenise`, which keeps what a receipt shows and forgets the number.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils import timezone

from flint.ids import new_id
from payments.processors.base import Refused, SourceSummary
from payments.processors.sandbox.models import SandboxToken

PREFIXES = ("pm", "ctoken")
BANK_NAME = "Sandbox Test Bank"
ROUTING_NUMBER = "110000000"

LASTS = timedelta(days=4 * 365)
"""How long the published tokens are good for, counted from when they are used or kept."""

MESSAGES = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "There is not enough money on the account.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The card's security code is incorrect.",
    "processing_error": "The card could not be processed. Try again in a little while.",
    "payment_blocked": "The payment was blocked as possibly fraudulent.",
    "authentication_required": "The buyer did not authenticate the payment.",
    "bank_account_closed": "The bank account is closed.",
    "bank_account_not_found": "The bank account could not be found.",
    "bank_account_restricted": "The bank account does not allow this debit.",
    "bank_debit_not_authorized": "The account holder did not authorize the debit.",
    "bank_debit_limit_exceeded": "The debit is above the account's limit.",
}
"""What the network says about each decline."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    How a source takes a payment, and a refund. ``code`` is the decline; a debit without one succeeds.

    ``dispute`` is the case type and the reason of a dispute that follows once money was taken.
    """

    outcome: Literal["approve", "approve_part", "authenticate", "decline", "debit", "debit_stays"]
    code: str = ""
    refund: Literal["succeed", "fail_later", "pend", "refuse"] = "succeed"
    dispute: tuple[str, str] | None = None
    brand: str = ""
    last4: str = ""

    @property
    def is_bank(self) -> bool:
        """Tell a bank account from a card."""
        return self.outcome.startswith("debit")

    def summary(self, brand: str = "", last4: str = "") -> SourceSummary:
        """Return what may be remembered of the source."""
        if self.is_bank:
            return SourceSummary("ach_debit", last4=last4 or self.last4, bank_name=BANK_NAME, account_type="checking")
        return SourceSummary("card", brand=brand or self.brand, last4=last4 or self.last4)


def _declines(code: str, last4: str) -> Behaviour:
    return Behaviour("decline", code, brand="visa", last4=last4)


def _disputed(case_type: str, reason: str, last4: str) -> Behaviour:
    return Behaviour("approve", brand="visa", last4=last4, dispute=(case_type, reason))


def _debit(code: str, last4: str) -> Behaviour:
    return Behaviour("debit", code, last4=last4)


BEHAVIOURS = {
    "card_visa": Behaviour("approve", brand="visa", last4="4242"),
    "card_visa_debit": Behaviour("approve", brand="visa", last4="5556"),
    "card_mastercard": Behaviour("approve", brand="mastercard", last4="4444"),
    "card_mastercard_debit": Behaviour("approve", brand="mastercard", last4="8210"),
    "card_amex": Behaviour("approve", brand="amex", last4="8431"),
    "card_discover": Behaviour("approve", brand="discover", last4="1117"),
    "card_diners": Behaviour("approve", brand="diners", last4="0004"),
    "card_jcb": Behaviour("approve", brand="jcb", last4="0505"),
    "card_unionpay": Behaviour("approve", brand="unionpay", last4="0005"),
    "card_partialApproval": Behaviour("approve_part", brand="visa", last4="0080"),
    "card_chargeDeclined": _declines("card_declined", "0002"),
    "card_chargeDeclinedInsufficientFunds": _declines("insufficient_funds", "9995"),
    "card_chargeDeclinedExpiredCard": _declines("expired_card", "0069"),
    "card_chargeDeclinedIncorrectCvc": _declines("incorrect_cvc", "0127"),
    "card_chargeDeclinedProcessingError": _declines("processing_error", "0119"),
    "card_chargeDeclinedFraudulent": _declines("payment_blocked", "0019"),
    "card_chargeCustomerFail": _declines("card_declined", "0341"),
    "card_threeDSecure2Required": Behaviour("authenticate", brand="visa", last4="3220"),
    "card_authenticationRequired": Behaviour("authenticate", brand="visa", last4="3155"),
    "card_refundFail": Behaviour("approve", refund="fail_later", brand="visa", last4="5126"),
    "card_pendingRefund": Behaviour("approve", refund="pend", brand="visa", last4="7726"),
    "card_refundRefused": Behaviour("approve", refund="refuse", brand="visa", last4="0077"),
    "card_createDispute": _disputed("chargeback", "fraudulent", "0259"),
    "card_createDisputeProductNotReceived": _disputed("chargeback", "product_not_received", "2685"),
    "card_createDisputeInquiry": _disputed("inquiry", "general", "1976"),
    "usBankAccount_success": _debit("", "6789"),
    "usBankAccount_processing": Behaviour("debit_stays", last4="0009"),
    "usBankAccount_accountClosed": _debit("bank_account_closed", "1113"),
    "usBankAccount_noAccount": _debit("bank_account_not_found", "1116"),
    "usBankAccount_insufficientFunds": _debit("insufficient_funds", "2227"),
    "usBankAccount_debitNotAuthorized": _debit("bank_debit_not_authorized", "3335"),
    "usBankAccount_accountRestricted": _debit("bank_account_restricted", "4440"),
    "usBankAccount_limitExceeded": _debit("bank_debit_limit_exceeded", "7771"),
    "usBankAccount_dispute": Behaviour("debit", last4="5559", dispute=("bank_return", "R10")),
}
"""Every published token by its name without the prefix."""

AUTHENTICATES_ONCE = "card_authenticationRequired"
"""The card that asks the buyer for every payment, unless they authenticated when it was kept."""

CARD_NUMBERS = {
    "4242424242424242": "card_visa",
    "4000056655665556": "card_visa_debit",
    "5555555555554444": "card_mastercard",
    "5200828282828210": "card_mastercard_debit",
    "371449635398431": "card_amex",
    "6011111111111117": "card_discover",
    "3056930009020004": "card_diners",
    "3566002020360505": "card_jcb",
    "6200000000000005": "card_unionpay",
    "4000000000000002": "card_chargeDeclined",
    "4000000000009995": "card_chargeDeclinedInsufficientFunds",
    "4000000000000069": "card_chargeDeclinedExpiredCard",
    "4000000000000127": "card_chargeDeclinedIncorrectCvc",
    "4000000000000119": "card_chargeDeclinedProcessingError",
    "4100000000000019": "card_chargeDeclinedFraudulent",
    "4000000000000341": "card_chargeCustomerFail",
    "4000000000003220": "card_threeDSecure2Required",
    "4000002500003155": "card_authenticationRequired",
    "4000000000005126": "card_refundFail",
    "4000000000007726": "card_pendingRefund",
    "4000000000000259": "card_createDispute",
    "4000000000002685": "card_createDisputeProductNotReceived",
    "4000000000001976": "card_createDisputeInquiry",
}

ACCOUNT_NUMBERS = {
    "000123456789": "usBankAccount_success",
    "000000000009": "usBankAccount_processing",
    "000111111113": "usBankAccount_accountClosed",
    "000111111116": "usBankAccount_noAccount",
    "000222222227": "usBankAccount_insufficientFunds",
    "000333333335": "usBankAccount_debitNotAuthorized",
    "000555555559": "usBankAccount_dispute",
    "000777777771": "usBankAccount_limitExceeded",
}


def tokenise(
    environment_id: str,
    number: str,
    exp_month: int,
    exp_year: int,
    cvc: str,
    *,
    prefix: str = "pm",
    at: datetime | None = None,
) -> str:
    """
    Turn a published test card into a token for one environment.

    :raises Refused: ``invalid_payment_source`` for any other number, ``expired_card``, ``incorrect_cvc``.
    """
    name = CARD_NUMBERS.get(_digits(number))
    if name is None:
        raise Refused("invalid_payment_source", "The sandbox takes the published test cards only.")
    today = (at or timezone.now()).date()
    if not 1 <= exp_month <= 12 or (exp_year, exp_month) < (today.year, today.month):
        raise Refused("expired_card", MESSAGES["expired_card"])
    if len(cvc) != (4 if name == "card_amex" else 3) or not (cvc.isascii() and cvc.isdigit()):
        raise Refused("incorrect_cvc", MESSAGES["incorrect_cvc"])
    return _store(environment_id, name, prefix, exp_month=exp_month, exp_year=exp_year)


def tokenise_bank_account(environment_id: str, routing_number: str, account_number: str, *, prefix: str = "pm") -> str:
    """
    Turn a published test bank account into a token for one environment.

    :raises Refused: ``invalid_payment_source`` for any other account.
    """
    name = ACCOUNT_NUMBERS.get(_digits(account_number))
    if name is None or _digits(routing_number) != ROUTING_NUMBER:
        raise Refused("invalid_payment_source", "The sandbox takes the published test bank accounts only.")
    return _store(environment_id, name, prefix)


def find_source(environment_id: str, token: str) -> tuple[str, SourceSummary]:
    """
    Return the behaviour's name and the summary of the source behind a token.

    :raises Refused: ``invalid_payment_source`` if the token is unknown in this environment.
    """
    prefix, _, name = token.partition("_")
    if prefix in PREFIXES:
        if behaviour := BEHAVIOURS.get(name):
            return name, behaviour.summary()
        stored = SandboxToken.objects.filter(environment_id=environment_id, token=token).order_by("token").first()
        if stored is not None:
            return stored.behaviour, BEHAVIOURS[stored.behaviour].summary(stored.brand, stored.last4)
    raise Refused("invalid_payment_source", "There is no such payment source.")


def expiry_of(environment_id: str, token: str, at: datetime) -> tuple[int, int]:
    """Return a card's last month and its year: a number brought its own, a published token is good for some years."""
    stored = SandboxToken.objects.filter(environment_id=environment_id, token=token).order_by("token").first()
    until = at + LASTS
    return (stored and stored.exp_month) or until.month, (stored and stored.exp_year) or until.year


def _digits(number: str) -> str:
    return number.replace(" ", "").replace("-", "")


def _store(environment_id: str, name: str, prefix: str, **expiry: int) -> str:
    if prefix not in PREFIXES:
        raise ValueError(f"a token begins with one of {PREFIXES}")
    behaviour = BEHAVIOURS[name]
    stored = SandboxToken.objects.create(
        token=new_id(prefix),
        environment_id=environment_id,
        behaviour=name,
        brand=behaviour.brand,
        last4=behaviour.last4,
        **expiry,
    )
    return stored.token
