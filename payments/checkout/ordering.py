"""The page of a payment link: what its form offers, and what a buyer's choices in it say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flint.errors import FlintError
from flint.languages import Language, phrase
from flint.money import MAX_AMOUNT, Money, exponent, is_known_currency
from payments.checkout.forms import BadForm, amount_of
from payments.models import PaymentLink
from payments.models.links import money_in
from payments.services.links.resolving import DONATION_KEY

OTHER = "other"
"""What is posted where the buyer names an amount that was not suggested."""

SENTENCES = {
    "QUANTITY_BELOW_MIN": phrase("That is fewer than may be ordered."),
    "QUANTITY_ABOVE_MAX": phrase("That is more than may be ordered."),
    "AMOUNT_REQUIRED": phrase("Enter an amount."),
    "DONATION_AMOUNT_REQUIRED": phrase("Enter an amount."),
    "INVALID_DONATION_AMOUNT": phrase("Enter an amount."),
    "AMOUNT_TOO_LARGE": phrase("That is more than can be paid at once."),
    "CURRENCY_MISMATCH": phrase("Enter all amounts in one currency."),
    "REQUIRED_CUSTOM_FIELD_MISSING": phrase("Please fill this in."),
    "INVALID_DROPDOWN_VALUE": phrase("Choose one of the options."),
    "CUSTOM_FIELD_VALUE_TOO_LONG": phrase("This is too long."),
    "PAYMENT_LINK_RESOLUTION_RATE_LIMITED": phrase("That was a lot at once. Wait a minute, then try again."),
}
ANEW = ("PAYMENT_LINK_CHANGED_RETRY", "PAYMENT_LINK_RESOLUTION_CONTEXT_REFRESH_REQUIRED")
ANEW += ("PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID",)
CHANGED = phrase("The offer may have changed while this page was open. Please check it and continue again.")
NOT_NOW = phrase("Something went wrong and nothing was ordered. Reload the page and try again.")


@dataclass(slots=True)
class Choice:
    """
    One line of the form: what is sold, and which of quantity and amount the buyer decides on.

    ``id`` is what its controls are called, ``offers`` are suggested amounts: minor units, and for people.
    """

    id: str
    key: str
    name: str
    description: str = ""
    price: str = ""
    quantity: int = 1
    asks_quantity: bool = False
    min_quantity: int = 1
    max_quantity: int | None = None
    asks_amount: bool = False
    amount: str = ""
    bounds: str = ""
    offers: list[tuple[int, str]] = field(default_factory=list)
    chosen: str = ""


@dataclass(slots=True)
class Question:
    """One custom field of the form."""

    id: str
    key: str
    label: str
    kind: str
    is_required: bool
    placeholder: str
    options: list[str]
    max_length: int | None
    answer: str


def choices_of(link: PaymentLink, language: Language, typed: Mapping[str, str]) -> list[Choice]:
    """Return the lines of a link's form, with what was typed before a mistake."""
    if link.is_donation:
        choice = Choice("line-0", DONATION_KEY, link.name, asks_amount=True)
        _offer(choice, link.donation, "donation_suggested_amount_money_options", language, typed)
        choice.bounds = _bounds(
            money_in(link.donation, "donation_min_amount_money"),
            money_in(link.donation, "donation_max_amount_money"),
            language,
        )
        return [choice]
    return [_choice_of(index, line, language, typed) for index, line in enumerate(link.line_items)]


def _choice_of(index: int, line: Mapping[str, Any], language: Language, typed: Mapping[str, str]) -> Choice:
    price = money_in(line, "unit_price_money")
    choice = Choice(
        id=f"line-{index}",
        key=line["key"],
        name=line["name"],
        description=line.get("description", ""),
        price=language.money(price) if price else "",
        quantity=line["quantity"],
        asks_quantity=bool(line.get("allow_quantity_adjustment")),
        min_quantity=line.get("min_quantity") or 1,
        max_quantity=line.get("max_quantity"),
        asks_amount=bool(line.get("allow_unit_price_adjustment")),
    )
    wanted = typed.get(f"{choice.id}-quantity", "")
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 8:
        choice.quantity = int(wanted)
    if choice.asks_amount:
        _offer(choice, line, "suggested_unit_price_money_options", language, typed)
        low, high = money_in(line, "min_unit_price_money"), money_in(line, "max_unit_price_money")
        choice.bounds = _bounds(low, high, language)
        if price and not choice.chosen and not choice.amount:
            choice.amount = _digits(price)
    return choice


def _offer(choice: Choice, values: Mapping[str, Any], name: str, language: Language, typed: Mapping[str, str]) -> None:
    offers = [Money(**each) for each in values.get(name, [])]
    choice.offers = [(offer.amount, language.money(offer)) for offer in offers]
    choice.chosen = typed.get(f"{choice.id}-choice", "")
    choice.amount = typed.get(f"{choice.id}-amount", "")


def _bounds(low: Money | None, high: Money | None, language: Language) -> str:
    if low and high:
        return language.say("{low} to {high}", low=language.money(low), high=language.money(high))
    if low:
        return language.say("at least {low}", low=language.money(low))
    return language.say("at most {high}", high=language.money(high)) if high else ""


def _digits(money: Money) -> str:
    """Write an amount as one would type it: ``12.50``."""
    digits = exponent(money.currency)
    whole = str(money.amount).rjust(digits + 1, "0")
    return f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole


def questions_of(link: PaymentLink, typed: Mapping[str, str]) -> list[Question]:
    """Return the custom fields of a link's form, with what was typed before a mistake."""
    return [
        Question(
            id=f"field-{index}",
            key=asked["key"],
            label=asked["label"],
            kind=asked["custom_field_type"],
            is_required=asked["required"],
            placeholder=asked.get("placeholder", ""),
            options=asked.get("options", []),
            max_length=asked.get("max_length"),
            answer=typed.get(f"field-{index}", ""),
        )
        for index, asked in enumerate(link.custom_fields)
    ]


def wish_of(link: PaymentLink, form: Mapping[str, str], language: Language) -> dict[str, Any]:
    """Return a posted form as a request to resolve the link. :raises BadForm: if something in it cannot be read."""
    wish: dict[str, Any] = {
        "resolution_context": form.get("resolution_context", "")[:2_048],
        "quantity_overrides": {},
        "unit_price_overrides": {},
        "custom_field_values": {},
    }
    currency = link.currency or form.get("currency", "").strip().upper()
    for choice in choices_of(link, language, {}):
        if choice.asks_quantity:
            wish["quantity_overrides"][choice.key] = _quantity(form.get(f"{choice.id}-quantity", ""), choice)
        if choice.asks_amount:
            wish["unit_price_overrides"][choice.key] = _amount(form, choice, currency, language)
    for index, asked in enumerate(link.custom_fields):
        answer = form.get(f"field-{index}", "").replace("\r\n", "\n").replace("\0", "")
        is_box = asked["custom_field_type"] == "checkbox"
        wish["custom_field_values"][asked["key"]] = answer == "yes" if is_box else answer
    return wish


def _quantity(text: str, choice: Choice) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise BadForm("Enter the quantity as a whole number.", f"{choice.id}-quantity")
    return int(text)


def _amount(form: Mapping[str, str], choice: Choice, currency: str, language: Language) -> Money:
    if not is_known_currency(currency):
        raise BadForm("Enter the currency by its three letters, such as EUR.", "currency")
    picked = form.get(f"{choice.id}-choice", "")
    if picked and picked != OTHER:
        if not (picked.isascii() and picked.isdigit() and int(picked[:16]) <= MAX_AMOUNT):
            raise BadForm("Choose one of the amounts.", f"{choice.id}-amount")
        return Money(int(picked[:16]), currency)
    try:
        return amount_of(form.get(f"{choice.id}-amount", ""), currency, language)
    except BadForm as mistake:
        example = mistake.values["example"]
        raise BadForm("Enter an amount, such as {example}.", f"{choice.id}-amount", example=example) from None


def sentence_of(refusal: FlintError, link: PaymentLink, language: Language) -> tuple[str, str]:
    """Say why an order could not be made, and name the control that it is about."""
    if refusal.code in ANEW:
        return language.say(CHANGED), ""
    facts = {name: language.money(money) for name, money in refusal.facts.items() if isinstance(money, Money)}
    if refusal.code == "AMOUNT_BELOW_MIN":
        words = language.say("The amount is at least {minimum_money}.", **facts)
    elif refusal.code == "AMOUNT_ABOVE_MAX":
        words = language.say("The amount is at most {maximum_money}.", **facts)
    else:
        words = language.say(SENTENCES.get(refusal.code, NOT_NOW))
    control = _control_of(refusal.param or "", link)
    asked = next((field["label"] for at, field in enumerate(link.custom_fields) if control == f"field-{at}"), "")
    return f"{asked}: {words}" if asked else words, control


def _control_of(param: str, link: PaymentLink) -> str:
    """Return the id of the control that a parameter of a resolve comes from."""
    name, _, key = param.partition(".")
    if name == "custom_field_values":
        return next((f"field-{at}" for at, asked in enumerate(link.custom_fields) if asked["key"] == key), "")
    ending = {"quantity_overrides": "quantity", "unit_price_overrides": "amount"}.get(name)
    if ending is None:
        return ""
    keys = [DONATION_KEY] if link.is_donation else [line["key"] for line in link.line_items]
    return f"line-{keys.index(key)}-{ending}" if key in keys else ""
