"""Reading what a buyer typed. What a card form holds is the processor's to read, and is never kept."""

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from flint.languages import Language
from flint.messages.outbox import is_address
from flint.money import MAX_AMOUNT, Money, exponent
from payments.models import CheckoutSession
from payments.models.sessions import DEFAULT_TIPS

WRITTEN_BACK = ("email", "phone", "terms", "method", "tip_amount", "code_email", "saved", "save")
"""What is shown again after a mistake. Nothing of a card or an account ever is."""


class BadForm(Exception):
    """Something that the buyer can put right: in English, to be translated, and the field that it is about."""

    def __init__(self, words: str, field: str = "", **values: object):
        super().__init__(words)
        self.words, self.field, self.values = words, field, values


def contact_of(form: Mapping[str, str], session: CheckoutSession) -> dict[str, str]:
    """
    Return how the buyer wants to be reached. Nothing that was left empty is in it.

    :raises BadForm: if something required is missing or has no proper form.
    """
    asked = session.settings.get("customer_collection", {})
    contact: dict[str, str] = {}
    email, phone = form.get("email", "").strip(), form.get("phone", "").strip()
    if email:
        try:
            validate_email(email)
        except ValidationError:
            raise BadForm("Check the email address.", "email") from None
        if len(email) > 255:
            raise BadForm("Check the email address.", "email")
        contact["email"] = email
    elif asked.get("require_email"):
        raise BadForm("Enter your email address.", "email")
    digits = re.sub(r"[\s()./-]", "", phone)
    if phone:
        if not re.fullmatch(r"\+[1-9][0-9]{5,14}", digits):
            raise BadForm("Enter the phone number with its country code, such as +1 202 555 0123.", "phone")
        contact["phone"] = digits
    elif asked.get("require_phone"):
        raise BadForm("Enter your phone number.", "phone")
    if session.settings.get("legal", {}).get("require_terms_of_service") and form.get("terms") != "yes":
        raise BadForm("Please agree to the terms of service.", "terms")
    return contact


def address_of(form: Mapping[str, str]) -> str:
    """Return where a code is to go. :raises BadForm: if it is no address."""
    email = form.get("code_email", "").strip()
    if not is_address(email):
        raise BadForm("Check the email address.", "code_email")
    return email


def tip_of(form: Mapping[str, str], session: CheckoutSession, language: Language) -> dict[str, Any] | None:
    """
    Return the tip that was chosen: a percentage of those offered, an amount of the buyer's own, or none.

    :raises BadForm: if it is not one of the offers, or no amount.
    """
    offered = session.settings.get("tip", {})
    choice = form.get("tip", "")
    if choice == "none":
        return None
    if choice == "custom" and offered.get("is_custom_tip_enabled"):
        return {"amount_money": amount_of(form.get("tip_amount", ""), session.order.currency, language)}
    if choice.isascii() and choice.isdigit() and int(choice) in (offered.get("tip_percent_options") or DEFAULT_TIPS):
        return {"percent": int(choice)}
    raise BadForm("Choose one of the tips.")


def amount_of(text: str, currency: str, language: Language) -> Money:
    """
    Read an amount as people write it: digits, with a point or a comma before the currency's own decimals.

    :raises BadForm: if it is anything else, nothing, or too much.
    """
    digits = exponent(currency)
    found = re.fullmatch(r"([0-9]{0,10})(?:[.,]([0-9]*))?", re.sub(r"[\s\u20ac$\u00a3\u00a5]", "", text))
    decimals = (found[2] or "") if found else ""
    amount = int((found[1] + decimals.ljust(digits, "0")) or "0") if found and len(decimals) <= digits else 0
    if not 0 < amount <= MAX_AMOUNT:
        example = language.money(Money(5 * 10**digits, currency))
        raise BadForm("Enter the tip as an amount, such as {example}.", "tip_amount", example=example)
    return Money(amount, currency)
