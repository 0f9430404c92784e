"""What went wrong, in words for a buyer: never blaming, never technical, and always what to do next."""

from flint.languages import Language, phrase
from flint.money import Money

SENTENCES = {
    "card_declined": phrase("Your bank declined the card. Try another card, or ask your bank."),
    "insufficient_funds": phrase("There is not enough money on it. Try another card or account."),
    "expired_card": phrase("The card has expired. Check the date, or try another card."),
    "incorrect_cvc": phrase("The security code is not right. Check it and try again."),
    "authentication_required": phrase(
        "Your bank did not recognise you. Nothing was charged. Try again, or another card."
    ),
    "processing_error": phrase("Something went wrong at the bank and nothing was charged. Try again in a moment."),
    "payment_attempt_canceled": phrase("You stopped the payment. Nothing was charged."),
    "payment_blocked": phrase("This card cannot be used here. Nothing was charged; try another one."),
    "payment_method_temporarily_unavailable": phrase(
        "The bank could not be reached and nothing was charged. Try again in a moment."
    ),
    "invalid_payment_source": phrase("Check the number and try again."),
    "bank_account_closed": phrase("The bank account is closed. Nothing was charged; try another one."),
    "bank_account_not_found": phrase("The bank account could not be found. Check the number and try again."),
    "bank_account_restricted": phrase("The bank account does not allow this. Nothing was charged; try another one."),
    "bank_debit_not_authorized": phrase("The bank did not accept the debit. Nothing was charged; try another account."),
    "payment_link_capacity_claim_failed": phrase(
        "Somebody else just took the last one. Nothing was charged; ask the merchant whether there will be more."
    ),
    "bank_debit_limit_exceeded": phrase("The amount is above your bank's limit. Nothing was charged; try a card."),
}
ANYTHING_ELSE = phrase("The payment did not go through and nothing was charged. Try again, or another way to pay.")
TRY_AGAIN = phrase("Something went wrong and nothing was charged. Reload the page and try again.")

CODES = {
    "CUSTOMER_VERIFICATION_CODE_INVALID": phrase(
        "This is not the code, or it is too old. Check it, or ask for a new one."
    ),
    "CUSTOMER_VERIFICATION_LIMIT_REACHED": phrase("No more codes can be sent here. You can still pay with any card."),
    "CUSTOMER_VERIFICATION_RATE_LIMITED": phrase(
        "Many codes went to this address lately. Try again later, or pay with any card."
    ),
    "CUSTOMER_VERIFICATION_UNAVAILABLE": phrase(
        "This address cannot be confirmed at the moment. You can still pay with any card."
    ),
    "CHECKOUT_CUSTOMER_CONFLICT": phrase("This order is for another address. Use that one, or pay with any card."),
}

FIELDS = {
    "incorrect_cvc": "cvc",
    "expired_card": "expiry",
    "invalid_payment_source": "number",
}
"""The field that a refusal is about, where it was refused before anything was sent."""


def code_text(language: Language, code: str) -> str:
    """Say why a code could not be sent or taken, and what to do."""
    return language.say(CODES.get(code, TRY_AGAIN))


def decline_text(language: Language, code: str) -> str:
    """Say why a payment did not work, and what to do."""
    return language.say(SENTENCES.get(code, ANYTHING_ELSE))


def changed_text(language: Language, before: Money, now: Money) -> str:
    """Say that the total changed while the buyer looked at the page."""
    return language.say(
        "The total changed from {before} to {now} while this page was open. Please check it and pay again.",
        before=language.money(before),
        now=language.money(now),
    )
