"""Reading what a buyer typed. What a card form holds is the processor's to read, and is never kept."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from flint.languages import Language
from flint.money import exponent
from payments.models import CheckoutSession

DEFAULT_TIPS = (100_000, 150_000, 200_000)
"""What is offered where a merchant names no tips: 10, 15 and 20 percent."""


class BadForm(Exception):
    """Something that the buyer can put right; the words say what, in English, to be translated."""


def contact_of(form: Mapping[str, str], session: CheckoutSession, language: Language) -> dict[str, str]:
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
            raise BadForm("Check the email address.") from None
        contact["email"] = email[:255]
    elif asked.get("require_email"):
        raise BadForm("Enter your email address.")
    digits = "".join(sign for sign in phone if sign in "+0123456789")
    if phone:
        if not 6 <= len(digits) <= 16:
            raise BadForm("Check the phone number.")
        contact["phone"] = digits
    elif asked.get("require_phone"):
        raise BadForm("Enter your phone number.")
    if session.settings.get("legal", {}).get("require_terms_of_service") and form.get("terms") != "yes":
        raise BadForm("Please agree to the terms of service.")
    return contact


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
        return {"amount_money": session.order.money(_amount(form.get("tip_amount", ""), session.order.currency))}
    if choice.isascii() and choice.isdigit() and int(choice) in (offered.get("tip_percent_options") or DEFAULT_TIPS):
        return {"percent": int(choice)}
    raise BadForm("Choose one of the tips.")


def _amount(text: str, currency: str) -> int:
    """Read an amount as people write it, with a point or a comma before the minor units."""
    digits = exponent(currency)
    whole, _, minor = text.strip().replace(",", ".").partition(".")
    if not (whole or "0").isdigit() or (minor and not minor.isdigit()) or len(minor) > digits or len(whole) > 9:
        raise BadForm("Enter the tip as an amount, such as 5.00.")
    amount = int(whole or "0") * 10**digits + int((minor or "0").ljust(digits, "0") or "0")
    if not amount:
        raise BadForm("Enter the tip as an amount, such as 5.00.")
    return amount
