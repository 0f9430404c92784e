"""Reading credit notes to be shown: with their lines and what they stand at, in a fixed number of statements."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from flint.actors import Actor
from invoices.credits import amounts_of_notes
from invoices.models import CreditNote, CreditNoteAllocation
from invoices.models.credit_notes import N


def readable_notes(actor: Actor) -> QuerySet[CreditNote]:
    """Return the actor's credit notes with their lines. A buyer sees those of its own order that were issued."""
    notes = CreditNote.objects.of(actor).select_related("environment", "invoice", "order").prefetch_related("lines")
    return notes.exclude(status=N.DRAFT) if actor.is_buyer else notes


def read_note(note_id: str, *, actor: Actor, **of: Any) -> CreditNote:
    """
    Return one note with all there is to show of it.

    :param of: what else it has to be of, such as ``invoice_id``.
    :raises CreditNoteNotFound: if it is absent or foreign.
    """
    return with_amounts([readable_notes(actor).find(id=note_id, **of)])[0]


def notes_of_invoice(invoice_id: str, *, actor: Actor) -> list[CreditNote]:
    """Return the notes of an invoice with all there is to show of them, the newest first."""
    return with_amounts(readable_notes(actor).filter(invoice_id=invoice_id).order_by("-created_at", "-id"))


def with_amounts(notes: Iterable[CreditNote]) -> list[CreditNote]:
    """Give notes what they stand at, as ``amounts``: two statements for any number of them."""
    notes = list(notes)
    amounts = amounts_of_notes(notes)
    for note in notes:
        note.amounts = amounts[note.id]
    return notes


def matching(notes: QuerySet[CreditNote], term: str) -> QuerySet[CreditNote]:
    """Keep to the notes whose id, number, reference or memo, or whose invoice's number or buyer, a term names."""
    return notes.filter(
        Q(id=term)
        | Q(number__iexact=term)
        | Q(external_reference_id=term)
        | Q(invoice_id=term)
        | Q(invoice__number__iexact=term)
        | Q(order__customer__email__iexact=term)
        | Q(memo__icontains=term)
    )


def allocations_of(note_id: str, *, actor: Actor) -> QuerySet[CreditNoteAllocation]:
    """
    Return the allocations of a note, reversed ones too.

    :raises CreditNoteNotFound: if the note is absent or foreign.
    """
    note = CreditNote.objects.of(actor).find(id=note_id)
    return CreditNoteAllocation.objects.of(actor).filter(note_id=note.id).select_related("note")
