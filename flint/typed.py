"""Amounts as people type them: read strictly, and written so that they read back the same."""

import re

from django import forms

from flint.money import MAX_AMOUNT, Money, exponent


def money_typed(text: str, currency: str) -> Money:
    """
    Read an amount as people write it: digits, and a point before the currency's own decimals.

    :raises forms.ValidationError: if it is anything else, or nothing.
    """
    digits = exponent(currency)
    found = re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]+))?", text.strip())
    decimals = (found[2] or "") if found else ""
    if not found or len(decimals) > digits:
        example = f"12.{'50'.ljust(digits, '0')[:digits]}" if digits else "12"
        raise forms.ValidationError(f"Write the amount like {example}, without a currency sign.")
    amount = int(found[1] + decimals.ljust(digits, "0"))
    if not 0 < amount <= MAX_AMOUNT:
        raise forms.ValidationError("Write an amount above zero." if not amount else "This amount is too large.")
    return Money(amount, currency)


def typed(money: Money) -> str:
    """Write an amount as it is typed into a form: digits and a point, no currency."""
    digits = exponent(money.currency)
    whole = str(money.amount).rjust(digits + 1, "0")
    return f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole
