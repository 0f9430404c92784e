"""Which amounts the server takes, what it keeps of them, and in which currency it keeps the rest."""

from typing import Any

from flint.testing.stripe_server.errors import invalid

SMALLEST = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50}
LARGEST = 99_999_999
THREE_DECIMAL = ("bhd", "jod", "kwd", "omr", "tnd")
WRITTEN_WITH_TWO = ("isk", "ugx")

FEE_PERMILLE, FEE_EACH = 29, 30
DISPUTE_FEE = 1_500


def check_amount(amount: int, currency: str, *, smallest: int | None = None, param: str = "amount") -> None:
    """:raises ApiError: if an amount is too small, too large or not of its currency's form."""
    if amount < (SMALLEST.get(currency, 1) if smallest is None else smallest):
        raise invalid("Amount must be at least the smallest one.", code="amount_too_small", param=param)
    if amount > LARGEST:
        raise invalid("Amount must be no more than 999999.99.", code="amount_too_large", param=param)
    # The documents ask for these forms; with which code an amount is refused that lacks it, they do not say.
    if currency in THREE_DECIMAL and amount % 10:
        raise invalid("The last digit must be 0 in this currency.", code="invalid_charge_amount", param=param)
    if currency in WRITTEN_WITH_TWO and amount % 100:
        raise invalid("The last two digits must be 00 in this currency.", code="invalid_charge_amount", param=param)


def fee_for(amount: int) -> int:
    """Return what is kept of a payment of that amount, rounded down: a share of it and a little for each."""
    return amount * FEE_PERMILLE // 1_000 + FEE_EACH


def converted(amount: int, currency: str, rates: dict[str, tuple[str, int, int]]) -> tuple[int, str, Any]:
    """
    Return an amount in the currency that it is kept in, and Stripe's rate, which is a fraction on the wire.

    ``rates`` has the kept currency and a ratio of whole numbers by the payment's currency.
    """
    if currency not in rates:
        return amount, currency, None
    kept, numerator, denominator = rates[currency]
    whole = abs(amount) * numerator // denominator
    return (whole if amount >= 0 else -whole), kept, numerator / denominator
