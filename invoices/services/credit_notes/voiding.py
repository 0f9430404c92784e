"""Taking an issued credit note back."""

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from invoices.credits import amounts_of_note
from invoices.models import CreditNote
from invoices.services.credit_notes.locking import lock_note, refuse_unissued, remember
from invoices.services.credit_notes.refusals import CreditNoteHasAllocations


def void_credit_note(note_id: str, *, expected_version: int | None = None, actor: Actor) -> CreditNote:
    """
    Take an issued note back for good. It keeps its number, and what it took of the invoice can be credited anew.

    :raises CreditNoteNotFound: if it is absent or foreign. :raises CreditNoteNotIssued: by its state.
    :raises CreditNoteChanged: if another version was expected.
    :raises CreditNoteHasAllocations: while credit of it is applied, and once any of it went back or is on its way.
    """
    with transaction.atomic():
        order, _, note = lock_note(note_id, actor=actor, expected_version=expected_version)
        refuse_unissued(note)
        amounts = amounts_of_note(note)
        if amounts.available != amounts.total:
            raise CreditNoteHasAllocations(current_money=note.money(amounts.total - amounts.available))
        note.void(at=timezone.now())
        remember(order, note, "credit_note.voided", actor=actor, number=note.number, amount=note.total_amount)
        note.save()
        order.save(update_fields=["event_count", "updated_at"])
    return note
