"""Which part of an order, and which payment, each minor unit of a refund belongs to. Pure arithmetic, no I/O."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from flint.money import share


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
