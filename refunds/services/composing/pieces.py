"""The pieces of a refund while it is worked out, and the rows that come of them."""

from dataclasses import dataclass, field
from typing import Any

from orders.models import Charge, LineItem, TaxBreakdown
from orders.splitting import Makeup
from refunds.models import RefundAdjustment, RefundAllocation, RefundLeg

TIP = "tip"
SURPLUS = "surplus"
REOPENED = "reopened"
NO_CREDIT = frozenset({SURPLUS, REOPENED})


@dataclass
class Withheld:
    """So much of a piece that does not go back, and the columns that say why."""

    makeup: Makeup
    columns: dict[str, Any]


@dataclass
class Piece:
    """
    So much of one part: ``part`` is a line, a charge, a flat tax, or the name of what is no part of the sale.

    ``amount`` is what moves, ``withheld`` what would have moved as well. With ``adjustment`` it is what an earlier
    refund withheld of the line.
    """

    part: LineItem | Charge | TaxBreakdown | str
    amount: int
    quantity: int = 0
    withheld: list[Withheld] = field(default_factory=list)
    adjustment: RefundAdjustment | None = None

    @property
    def key(self) -> str:
        if self.adjustment:
            return self.adjustment.id
        return self.part if isinstance(self.part, str) else self.part.id

    @property
    def automatic_amount(self) -> int:
        """Return what of the part is gone with it: what moves, and what was withheld."""
        return self.amount + sum(each.makeup.total for each in self.withheld)


@dataclass
class Composition:
    """A refund worked out: its pieces, and the rows of legs, allocations and adjustments to save."""

    amount: int
    pieces: list[Piece] = field(default_factory=list)
    legs: list[RefundLeg] = field(default_factory=list)
    allocations: list[RefundAllocation] = field(default_factory=list)
    adjustments: list[RefundAdjustment] = field(default_factory=list)

    def of(self, key: str) -> int:
        """Return what goes back of one part, by id or name."""
        return sum(piece.amount for piece in self.pieces if piece.key == key)
