"""
What a credit note stands at: how much of it was applied to its invoice's order, went back to the buyer, and is left.

Nothing of it is stored. Allocations are summed here; what went back is known to the room of refunds, which registers
how to sum it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Sum

from invoices.models import CreditNote, CreditNoteAllocation
from invoices.models.credit_notes import N


@dataclass(frozen=True, slots=True)
class Returned:
    """Minor units of a note that went back and are on their way, and the status of its last refund."""

    refunded: int = 0
    pending: int = 0
    latest_status: str = ""


@dataclass(frozen=True, slots=True)
class NoteAmounts:
    """
    Minor units of a note's currency.

    ``unallocated`` is what was not applied to the invoice; ``available`` what of that did not go back either, and is
    not on its way. Both are zero unless it is issued.
    """

    total: int
    allocated: int
    unallocated: int
    available: int
    returned: Returned = field(default_factory=Returned)


_sums: list[Callable[[Iterable[str]], Mapping[str, Returned]]] = []


def sums_what_went_back(
    sum_up: Callable[[Iterable[str]], Mapping[str, Returned]],
) -> Callable[[Iterable[str]], Mapping[str, Returned]]:
    """Register what sums up the refunds of notes, by the notes' ids, in one statement."""
    _sums.append(sum_up)
    return sum_up


def amounts_of_note(note: CreditNote) -> NoteAmounts:
    """Return what one note stands at."""
    return amounts_of_notes([note])[note.id]


def amounts_of_notes(notes: Iterable[CreditNote]) -> dict[str, NoteAmounts]:
    """Return what notes stand at, by their ids: two statements for any number of them."""
    notes = list(notes)
    ids = [note.id for note in notes]
    live = CreditNoteAllocation.objects.filter(note_id__in=ids, reversed_at__isnull=True)
    allocated = dict(live.values_list("note_id").annotate(Sum("amount")))
    returned: dict[str, Returned] = {}
    for sum_up in _sums:
        returned |= sum_up(ids)
    return {note.id: _amounts(note, allocated.get(note.id, 0), returned.get(note.id, Returned())) for note in notes}


def _amounts(note: CreditNote, allocated: int, returned: Returned) -> NoteAmounts:
    unallocated = note.total_amount - allocated if note.status == N.ISSUED else 0
    available = unallocated - returned.refunded - returned.pending if note.status == N.ISSUED else 0
    return NoteAmounts(note.total_amount, allocated, unallocated, available, returned)
