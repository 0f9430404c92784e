"""The one door to a credit note: its order's lock."""

from typing import Any

from flint.actors import Actor
from flint.events import services as events
from flint.events.models import Event
from invoices.models import CreditNote, Invoice
from invoices.models.credit_notes import N
from invoices.services.credit_notes.refusals import CreditNoteChanged, CreditNoteNotDraft, CreditNoteNotIssued
from orders.models import Order


def lock_note(note_id: str, *, actor: Actor, expected_version: int | None = None) -> tuple[Order, Invoice, CreditNote]:
    """
    Lock the order of a note and return it with its invoice and the note; nobody changes a note without that lock.

    :raises CreditNoteNotFound: if it is absent or foreign.
    :raises CreditNoteChanged: if another version was expected.
    """
    order_id = CreditNote.objects.of(actor).values_list("order_id", flat=True).find(id=note_id)
    order = Order.objects.behind(actor).select_related("environment__merchant").lock(id=order_id)
    note = CreditNote.objects.of(actor).select_related("environment").find(id=note_id)
    if expected_version is not None and expected_version != note.version:
        raise CreditNoteChanged(param="expected_version", current_version=note.version)
    invoice = Invoice.objects.get(id=note.invoice_id)
    note.order = invoice.order = order
    note.invoice = invoice
    return order, invoice, note


def refuse_issued(note: CreditNote) -> None:
    """:raises CreditNoteNotDraft: if it is none."""
    if note.status != N.DRAFT:
        raise CreditNoteNotDraft(current_status=str(note.status))


def refuse_unissued(note: CreditNote) -> None:
    """:raises CreditNoteNotIssued: if it is a draft, or void."""
    if note.status != N.ISSUED:
        raise CreditNoteNotIssued(current_status=str(note.status))


def remember(order: Order, note: CreditNote, type: str, *, actor: Actor, **data: Any) -> Event:
    """Count a change in a note's version and record it. The caller saves both."""
    note.version += 1
    return events.record(
        order, type, subject=note, actor=actor, invoice_id=note.invoice_id, version=note.version, **data
    )
