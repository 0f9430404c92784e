"""Which part of an order, and which payment, each minor unit of a refund belongs to. Pure arithmetic, no I/O."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from flint.money import share, slice_of


@dataclass(frozen=True, slots=True)
class Part:
    """What can still be given back on one line, charge, tip or tax; ``last``: only when nothing else remains."""

    key: Hashable
    remaining: int
    last: bool = False


@dataclass(frozen=True, slots=True)
class Tender:
    """What one payment can still give back."""

    key: Hashable
    refundable: int


@dataclass(frozen=True, slots=True)
class LineParts:
    """A line, or some of it: what it cost, what was taken off, and the tax on top. Inclusive tax is in the subtotal."""

    subtotal: int
    discount: int
    tax: int

    @property
    def total(self) -> int:
        """Return what the customer paid for it."""
        return self.subtotal - self.discount + self.tax


@dataclass(frozen=True, slots=True)
class Makeup:
    """What an amount of a line or charge is made of: :class:`LineParts`, and the inclusive tax within its subtotal."""

    subtotal: int = 0
    discount: int = 0
    tax: int = 0
    inclusive: int = 0

    @property
    def total(self) -> int:
        """Return what moves."""
        return self.subtotal - self.discount + self.tax

    @property
    def all_tax(self) -> int:
        """Return the tax in it, on top and inside the price."""
        return self.tax + self.inclusive

    def __add__(self, other: "Makeup") -> "Makeup":
        return Makeup(
            self.subtotal + other.subtotal,
            self.discount + other.discount,
            self.tax + other.tax,
            self.inclusive + other.inclusive,
        )

    def __sub__(self, other: "Makeup") -> "Makeup":
        return Makeup(
            self.subtotal - other.subtotal,
            self.discount - other.discount,
            self.tax - other.tax,
            self.inclusive - other.inclusive,
        )

    def take(self, amount: int) -> "Makeup":
        """
        Return what the next ``amount`` of it is made of. Taken in steps, each from what the last one left, it sums up.

        :raises ValueError: if there is less.
        """
        parts = line_parts(LineParts(self.subtotal, self.discount, self.tax), 0, amount)
        inclusive = slice_of(self.inclusive, 0, amount, self.total) if amount else 0
        return Makeup(parts.subtotal, parts.discount, parts.tax, inclusive)

    def tax_of(self, amount: int) -> "Makeup":
        """Return so much of its tax: first what is on top, then what is inside the price."""
        on_top = min(amount, self.tax)
        return Makeup(subtotal=amount - on_top, tax=on_top, inclusive=amount - on_top)


def spread(amount: int, parts: Sequence[Part]) -> dict[Hashable, int]:
    """
    Allocate an amount that names no target, in proportion to what remains on each part and never above it.

    Largest remainder, ties to the earlier. ``last`` parts are filled in sequence once the others are full. Parts that
    get nothing are left out.

    :raises ValueError: if the amount is more than remains, or anything is negative.
    """
    remaining = [part.remaining for part in parts]
    if min([amount, *remaining]) < 0 or amount > sum(remaining):
        raise ValueError(f"{amount} does not fit {remaining}")
    shared = [part for part in parts if not part.last]
    at_once = min(amount, sum(part.remaining for part in shared))
    amounts = share(at_once, [part.remaining for part in shared])
    spread_over = dict(zip((part.key for part in shared), amounts, strict=True))
    rest = amount - at_once
    for part in parts:
        if part.last:
            spread_over[part.key] = min(rest, part.remaining)
            rest -= spread_over[part.key]
    return {key: amount for key, amount in spread_over.items() if amount}


def over_tenders(
    pieces: Sequence[tuple[Hashable, int]], tenders: Sequence[Tender]
) -> list[tuple[Hashable, Hashable, int]]:
    """
    Fill the tenders, in sequence, with the pieces of a refund, in sequence: (tender key, piece key, amount) rows.

    Rows come in that sequence and are never zero. Each piece is on tenders in full, and no tender is above what it
    can give.

    :raises ValueError: if the tenders cannot give that much, or anything is negative.
    """
    amounts, rooms = [amount for _, amount in pieces], [tender.refundable for tender in tenders]
    if min([*amounts, *rooms], default=0) < 0 or sum(amounts) > sum(rooms):
        raise ValueError(f"{amounts} do not fit {rooms}")
    rows = []
    following, tender, room = iter(tenders), None, 0
    for key, amount in pieces:
        while amount:
            while not room:
                tender = next(following)
                room = tender.refundable
            put = min(amount, room)
            rows.append((tender.key, key, put))
            amount, room = amount - put, room - put
    return rows


def line_units(total: int, quantity: int, refunded_units: int, units: int) -> int:
    """
    Return what the next ``units`` of a line are worth, when ``refunded_units`` of its ``quantity`` went before.

    However the units are taken in steps, together they are the line's total: 10000 in three gives 3333, 3333, 3334.

    :raises ValueError: if the line has fewer units left.
    """
    if not 0 <= refunded_units <= refunded_units + units <= quantity:
        raise ValueError(f"units {refunded_units} to {refunded_units + units} of {quantity}")
    return slice_of(total, refunded_units, refunded_units + units, quantity)


def line_parts(line: LineParts, refunded: int, amount: int) -> LineParts:
    """
    Tell how much price, discount and tax there is in the next ``amount`` of a line, after ``refunded`` of it.

    The parts have exactly the amount as their total and none is negative. However a line is given back in steps, its
    steps sum to its own parts. A line worth nothing gives nothing back: its parts stay zero.

    :raises ValueError: if the line has less than the amount left.
    """
    if not 0 <= refunded <= refunded + amount <= line.total:
        raise ValueError(f"{refunded} to {refunded + amount} of {line.total}")
    if not amount:
        return LineParts(0, 0, 0)
    discount = slice_of(line.discount, refunded, refunded + amount, line.total)
    tax = slice_of(line.tax, refunded, refunded + amount, line.total)
    # Derived, not sliced: three numbers rounded apart would miss the amount by a unit.
    return LineParts(subtotal=amount + discount - tax, discount=discount, tax=tax)
