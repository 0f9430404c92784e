"""What has to fit together on a link, checked on the whole of it after every change."""

from collections.abc import Mapping, Sequence
from typing import Any

from flint.money import Money
from payments.models import PaymentLink
from payments.models.links import money_in
from payments.services.links.parts import InvalidLink, refuse

MAX_PAIRS = 44
"""Metadata and custom fields together: the order that they go to takes fifty, and six of those are reserved."""

MAX_BYTES = 32_768
WIDEST = 4
"""Bytes of UTF-8 that one character of an answer may take."""

__all__ = ["InvalidLink", "check_link"]


def check_link(link: PaymentLink) -> None:
    """:raises InvalidLink: with the code of what does not fit."""
    if link.is_donation:
        _check_donation(link)
    else:
        if link.donation:
            refuse("DONATION_CONFIG_NOT_APPLICABLE", "Only a donation has these.", min(link.donation))
        if not link.line_items:
            refuse("MISSING_LINE_ITEMS", "Offer at least one line.", "line_items")
        for index, line in enumerate(link.line_items):
            _check_line(line, f"line_items[{index}]")
        _check_one_currency(link)
    _check_metadata(link)


def _check_line(line: Mapping[str, Any], param: str) -> None:
    low, high = line.get("min_quantity"), line.get("max_quantity")
    if low is not None and high is not None and low > high:
        refuse("INVALID_QUANTITY_RANGE", "The smallest quantity is above the largest.", f"{param}.min_quantity")
    if not (low or 1) <= line["quantity"] <= (high or line["quantity"]):
        refuse("INVALID_QUANTITY_RANGE", "The quantity is out of its own bounds.", f"{param}.quantity")
    if "unit_price_money" not in line and not line.get("allow_unit_price_adjustment"):
        refuse("AMOUNT_REQUIRED", "Name a price, or let the buyer do so.", f"{param}.unit_price_money")
    low, high = money_in(line, "min_unit_price_money"), money_in(line, "max_unit_price_money")
    _check_amounts(
        low, high, [Money(**each) for each in line.get("suggested_unit_price_money_options", [])], param, "INVALID"
    )
    price = money_in(line, "unit_price_money")
    if price and ((low and price < low) or (high and price > high)):
        refuse("INVALID_AMOUNT_RANGE", "The price is out of its own bounds.", f"{param}.unit_price_money")


def _check_donation(link: PaymentLink) -> None:
    if link.line_items:
        refuse("DONATION_LINE_ITEMS_NOT_ALLOWED", "A donation has no lines: the buyer names the amount.", "line_items")
    chosen = link.settings
    if chosen.get("tax", {}).get("enabled"):
        refuse("DONATION_TAX_NOT_ALLOWED", "A donation is not taxed.", "tax")
    if chosen.get("tip", {}).get("enabled"):
        refuse("DONATION_TIP_NOT_ALLOWED", "A donation asks for no tip.", "tip")
    if any(chosen.get("promotion_config", {}).values()):
        refuse("DONATION_PROMOTION_NOT_ALLOWED", "A donation has no promotions.", "promotion_config")
    _check_amounts(
        money_in(link.donation, "donation_min_amount_money"),
        money_in(link.donation, "donation_max_amount_money"),
        [Money(**each) for each in link.donation.get("donation_suggested_amount_money_options", [])],
        "donation_suggested_amount_money_options",
        "INVALID_DONATION",
    )


def _check_amounts(low: Money | None, high: Money | None, offers: Sequence[Money], param: str, word: str) -> None:
    if len({money.currency for money in (low, high, *offers) if money is not None}) > 1:
        refuse("CURRENCY_MISMATCH", "Send every amount in one currency.", param)
    if low is not None and high is not None and low > high:
        refuse(f"{word}_AMOUNT_RANGE", "The smallest amount is above the largest.", param)
    for offer in offers:
        if low is not None and offer < low:
            refuse("SUGGESTED_AMOUNT_BELOW_MIN", "A suggestion is below the smallest amount.", param)
        if high is not None and offer > high:
            refuse("SUGGESTED_AMOUNT_ABOVE_MAX", "A suggestion is above the largest amount.", param)


def _check_one_currency(link: PaymentLink) -> None:
    for index, line in enumerate(link.line_items):
        for name, value in line.items():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict) and each.get("currency", link.currency) != link.currency:
                    refuse("CURRENCY_MISMATCH", "Send every amount in one currency.", f"line_items[{index}].{name}")


def _check_metadata(link: PaymentLink) -> None:
    if len(link.metadata) + len(link.custom_fields) > MAX_PAIRS:
        refuse(
            "PAYMENT_LINK_METADATA_TOO_MANY_KEYS",
            f"Metadata and custom fields are together at most {MAX_PAIRS}.",
            "metadata",
        )
    size = sum(len(key.encode()) + len(value.encode()) for key, value in link.metadata.items())
    size += sum(len(f"custom_field_{field['key']}".encode()) + _largest_answer(field) for field in link.custom_fields)
    if size > MAX_BYTES:
        refuse(
            "PAYMENT_LINK_METADATA_TOO_LARGE",
            f"Metadata and the longest answers are together at most {MAX_BYTES} bytes.",
            "metadata",
        )


def _largest_answer(field: Mapping[str, Any]) -> int:
    if field["custom_field_type"] == "dropdown":
        return max(len(option.encode()) for option in field["options"])
    return WIDEST * field["max_length"] if "max_length" in field else len("false")
