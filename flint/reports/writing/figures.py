"""Figures as text."""

from flint.money import exponent


def major(amount: int, digits: int) -> str:
    """Write minor units with a point and so many digits after it."""
    if not digits:
        return str(amount)
    text = str(abs(amount)).rjust(digits + 1, "0")
    return f"{'-' if amount < 0 else ''}{text[:-digits]}.{text[-digits:]}"


def money(amount: int, currency: str) -> str:
    """Write minor units with the currency's own digits and its code."""
    return f"{major(amount, exponent(currency))} {currency}"
