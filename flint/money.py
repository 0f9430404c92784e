"""Money: whole minor units with a currency, and splits that lose nothing. No float, no Decimal, anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from babel.numbers import format_currency, get_currency_precision, is_currency

MAX_AMOUNT = 999_999_999_999
"""The largest amount accepted from outside, in minor units; sums of many stay far inside a bigint."""


class CurrencyMixed(Exception):
    """Two currencies met in one calculation. Always a defect of the caller, never of its input."""


@cache
def is_known_currency(code: str) -> bool:
    """Tell whether ``code`` is an ISO 4217 currency, in upper case."""
    return len(code) == 3 and code.isascii() and code.isupper() and is_currency(code)


@cache
def exponent(currency: str) -> int:
    """Return how many digits the minor unit of a currency has: 0 for JPY, 2 for EUR, 3 for KWD. Source: CLDR."""
    return get_currency_precision(currency)


def share(amount: int, weights: Sequence[int]) -> list[int]:
    """
    Split ``amount`` minor units by weight so that the parts sum to it exactly.

    Largest remainder; ties go to the earlier part. Weights are never negative; when all are zero, all parts are
    zero unless there is something to share.

    :raises ValueError: if there is an amount but no weight to carry it, or a weight is negative.
    """
    total = sum(weights)
    if any(weight < 0 for weight in weights):
        raise ValueError("weights are never negative")
    if not total:
        if amount:
            raise ValueError("nothing to share the amount over")
        return [0] * len(weights)
    sign = -1 if amount < 0 else 1
    whole = [abs(amount) * weight // total for weight in weights]
    rest = abs(amount) - sum(whole)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(abs(amount) * weights[i] % total), i))
    for index in by_remainder[:rest]:
        whole[index] += 1
    return [sign * part for part in whole]


def slice_of(whole: int, start: int, stop: int, parts: int) -> int:
    """
    Return what units ``start`` to ``stop`` of ``parts`` equal units carry of ``whole`` minor units.

    Cumulative, so that slices taken in steps sum to the whole and the last one takes the remainder: a line of
    10000 in three units gives 3333, 3333, 3334.
    """
    return whole * stop // parts - whole * start // parts


def half_up(numerator: int, denominator: int) -> int:
    """Divide two non-negative integers, rounding halves up."""
    return (2 * numerator + denominator) // (2 * denominator)


@dataclass(frozen=True, order=False, slots=True)
class Money:
    """An amount in minor units and its currency. Mixing currencies raises :class:`CurrencyMixed`."""

    amount: int
    currency: str

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise CurrencyMixed(f"{self.currency} and {other.currency}")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.amount <= other.amount

    def __gt__(self, other: "Money") -> bool:
        return other < self

    def __ge__(self, other: "Money") -> bool:
        return other <= self

    def __bool__(self) -> bool:
        return self.amount != 0

    def __str__(self) -> str:
        return self.text()

    def split(self, weights: Sequence[int]) -> "list[Money]":
        """Share out by weight, losing no minor unit; see :func:`share`."""
        return [Money(part, self.currency) for part in share(self.amount, weights)]

    def text(self, locale: str = "en_US") -> str:
        """Write for people, with the currency's own digits: ``€10.00``, ``¥500``."""
        digits = exponent(self.currency)
        # Babel formats numbers of any type; a string of digits keeps the amount an integer until it is text.
        sign, whole = ("-" if self.amount < 0 else ""), str(abs(self.amount)).rjust(digits + 1, "0")
        number = f"{sign}{whole[:-digits]}.{whole[-digits:]}" if digits else f"{sign}{whole}"
        return format_currency(number, self.currency, locale=locale)


def zero(currency: str) -> Money:
    """Return no money at all in a currency."""
    return Money(0, currency)
