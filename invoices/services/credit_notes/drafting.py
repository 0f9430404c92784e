"""Preparing a credit note, and changing one that is not issued yet."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from flint.actors import Actor
from flint.errors import InvalidInput
from flint.events import services as events
from invoices.models import CreditNote, CreditNoteLine
from invoices.services.credit_notes.lines import Creditable, wanted_again
from invoices.services.credit_notes.locking import lock_note, refuse_issued, remember
from invoices.services.locking import lock_invoice

COLUMNS = ("reason", "external_reference_id")


class ExpectedVersionRequired(InvalidInput):
    code = "EXPECTED_VERSION_REQUIRED"
    message = "Replacing the lines needs expected_version, so that nobody else's change is lost."


def create_credit_note(*, data: Mapping[str, Any], actor: Actor) -> CreditNote:
    """
    Prepare a credit note for an issued invoice. It takes nothing back before it is issued.

    ``data`` is a validated request. Lines may be left for later.

    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceNotCreditable: by its state.
    :raises InvalidCreditNoteLine, CreditNoteAmountExceedsCreditable, CreditNoteCurrencyMismatch: by its lines.
    """
    with transaction.atomic():
        order, invoice = lock_invoice(data["invoice_id"], actor=actor)
        lines = Creditable(invoice).lines(data.get("credit_note_lines", []))
        note = CreditNote(
            environment_id=order.environment_id,
            invoice=invoice,
            order=order,
            currency=invoice.currency,
            memo=data.get("memo") or "",
            total_amount=sum(line.total_amount for line in lines),
            **{name: data[name] for name in COLUMNS if name in data},
        )
        note.save(force_insert=True)
        _save_lines(note, lines)
        events.record(
            order,
            "credit_note.created",
            subject=note,
            actor=actor,
            invoice_id=invoice.id,
            amount=note.total_amount,
            reason=note.reason,
            version=note.version,
        )
        order.save(update_fields=["event_count", "updated_at"])
    return note


def update_credit_note(note_id: str, *, data: Mapping[str, Any], actor: Actor) -> CreditNote:
    """
    Change a draft in one step. Lines that are sent replace those it has; what is already so changes nothing.

    :raises CreditNoteNotFound: if it is absent or foreign. :raises CreditNoteNotDraft: if it was issued.
    :raises CreditNoteChanged: if another version was expected.
    :raises ExpectedVersionRequired: if lines are replaced without one. :raises InvoiceNotCreditable: and by its lines.
    """
    if "credit_note_lines" in data and data.get("expected_version") is None:
        raise ExpectedVersionRequired(param="expected_version")
    with transaction.atomic():
        order, invoice, note = lock_note(note_id, actor=actor, expected_version=data.get("expected_version"))
        refuse_issued(note)
        changed = _set_columns(note, data)
        stored = list(note.lines.order_by("position"))
        if "credit_note_lines" in data:
            lines = Creditable(invoice).lines(data["credit_note_lines"], kept=[line.id for line in stored])
            if _asked(lines) != _asked(stored):
                changed.append("credit_note_lines")
                note.lines.all().delete()
                _save_lines(note, lines)
                note.total_amount = sum(line.total_amount for line in lines)
        if changed:
            remember(order, note, "credit_note.updated", actor=actor, changed=changed, amount=note.total_amount)
            note.save()
            order.save(update_fields=["event_count", "updated_at"])
    return note


def work_out_again(note: CreditNote, creditable: Creditable) -> list[CreditNoteLine]:
    """
    Work the lines of a draft out by what is left now, and save them: other notes may have been issued since.

    :raises CreditNoteAmountExceedsCreditable: if less is left than one of them takes.
    """
    stored = list(note.lines.order_by("position"))
    lines = creditable.lines(wanted_again(stored, note), kept=[line.id for line in stored])
    if [line.total_amount for line in lines] != [line.total_amount for line in stored]:
        note.lines.all().delete()
        _save_lines(note, lines)
    note.total_amount = sum(line.total_amount for line in lines)
    return lines


def _set_columns(note: CreditNote, data: Mapping[str, Any]) -> list[str]:
    wanted = {name: data[name] for name in COLUMNS if name in data}
    if "memo" in data:
        wanted["memo"] = data["memo"] or ""
    changed = [name for name, value in wanted.items() if getattr(note, name) != value]
    for name in changed:
        setattr(note, name, wanted[name])
    return changed


def _asked(lines: list[CreditNoteLine]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(line.id, line.invoice_line_item_id, line.correction) for line in lines]


def _save_lines(note: CreditNote, lines: list[CreditNoteLine]) -> None:
    for line in lines:
        line.note = note
    CreditNoteLine.objects.bulk_create(lines)
