"""From what the form posted to a request to pay: how much the buyer saw, with what, and by which name."""

import hashlib
from collections.abc import Mapping
from typing import Any

from flint.actors import Command
from flint.money import Money, is_known_currency
from payments.checkout.forms import BadForm
from payments.checkout.words import TRY_AGAIN
from payments.models import CheckoutSession
from payments.processors import processor_of

CARD, BANK = "card", "ach_debit"


def offers_of(session: CheckoutSession) -> list[str]:
    """Return the ways to pay that our own form offers: those the merchant chose; else cards, and US accounts in USD."""
    chosen = session.settings.get("payments", {}).get("enabled_payment_options")
    if chosen is None:
        return [CARD, BANK] if session.order.currency == "USD" else [CARD]
    offers = [CARD] if {CARD, "apple_pay", "google_pay"} & set(chosen) else []
    return offers + [BANK] if BANK in chosen else offers or [CARD]


def expected_of(form: Mapping[str, str]) -> Money:
    """Return what the page asked for when it was shown. :raises BadForm: if the form was tampered with."""
    amount, currency = form.get("amount", ""), form.get("currency", "")
    if not (amount.isascii() and amount.isdigit() and len(amount) < 16 and is_known_currency(currency)):
        raise BadForm(TRY_AGAIN)
    return Money(int(amount), currency)


def token_of(session: CheckoutSession, form: Mapping[str, str]) -> str:
    """
    Have the processor make a token of what was typed.

    :raises Refused: if it will not. :raises BadForm: if this way to pay was not offered.
    """
    processor = processor_of(session.environment.processor)
    if not processor.form_script and (BANK if form.get("method") == "bank" else CARD) not in offers_of(session):
        raise BadForm(TRY_AGAIN)
    return processor.token_of_form(environment_id=session.environment_id, form=form)


def source_of_form(session: CheckoutSession, form: Mapping[str, str], *, may_keep: bool) -> dict[str, Any]:
    """
    Return what the form pays with: a card that the buyer saved, or what was typed, and whether to save that.

    :raises Refused: if the processor takes nothing of it. :raises BadForm: if this way to pay was not offered.
    """
    if saved := form.get("saved", ""):
        return {"payment_source": {"payment_method_id": saved}}
    paid_with: dict[str, Any] = {"payment_source": {"confirmation_token": token_of(session, form)}}
    if may_keep and form.get("save") == "yes" and form.get("method") != "bank":
        paid_with["save_payment_method"] = True
    return paid_with


def command_of(form: Mapping[str, str], expected: Money, *, browser: str) -> Command:
    """
    Return the name of this wish to pay, the same for every click on one form; it also tells the browser.

    :raises BadForm: if the form came without one.
    """
    key = form.get("attempt_key", "")[:64]
    if not key:
        raise BadForm(TRY_AGAIN)
    digest = hashlib.sha256(f"{expected.amount} {expected.currency}".encode()).hexdigest()
    return Command(key=f"page {browser} {key}", digest=digest)
