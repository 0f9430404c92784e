"""What units or an amount of a line are made of when it is given back or credited in steps. Pure arithmetic."""

from dataclasses import dataclass

from flint.money import slice_of


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
