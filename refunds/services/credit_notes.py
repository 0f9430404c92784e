"""Giving the money of a paid invoice back by a credit note: through its payments, as far as the note's credit goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from flint.actors import Actor
from flint.api.idempotency import IdempotencyKeyReused
from flint.errors import Conflict, InvalidInput
from invoices.amounts import amounts_of
from invoices.credits import amounts_of_note
from invoices.documents.sources import Source
from invoices.models import CreditNote, Invoice
from invoices.models.invoices import STANDING, S
from invoices.services.credit_notes import refusals
from invoices.services.credit_notes.issuing import issue_locked
from invoices.services.credit_notes.locking import lock_note, refuse_unissued, remember
from orders.models import Order
from refunds.models import Refund, RefundAllocation
from refunds.selectors import readable
from refunds.services.composing import Composer
from refunds.services.composing.remains import LIVE
from refunds.services.create_refund import promise
from refunds.splitting import Part, spread

Wish = Mapping[str, Any]


class CreditNoteRefundExceedsBalance(Conflict):
    code = "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE"
    message = "The credit note has less credit left that can go back."


class CreditNoteRefundInvalid(InvalidInput):
    code = "CREDIT_NOTE_REFUND_INVALID"
    message = "Money goes back by a credit note once its invoice owes nothing. Apply the credit to the invoice first."


@dataclass(frozen=True, slots=True)
class RefundedByNote:
    """A refund by a note, and the note as it is then; ``is_repeat`` if the command had made it before."""

    note: CreditNote
    refund: Refund | None
    is_repeat: bool = False


def refund_credit_note(
    note_id: str, *, data: Wish, expected_version: int | None = None, actor: Actor
) -> RefundedByNote:
    """
    Promise a note's credit back through the payments that the invoice was paid with; the processor is asked later.

    ``data`` has the ``reason`` and, if not all available credit is to go back, ``amount_money``. The actor's command is
    the refund's identity for as long as there is the refund: the same one again returns what it made. What failed frees
    its credit, and can be asked for again by another command.

    :raises CreditNoteNotFound: if it is absent or foreign. :raises CreditNoteNotIssued: by its state.
    :raises CreditNoteChanged: if another version was expected.
    :raises CreditNoteRefundInvalid: while the invoice is still owed something.
    :raises CreditNoteRefundExceedsBalance: if less credit is left, or less of what it credits can go back.
    :raises AmountExceedsRefundable, NoPaymentsForOrder, PaymentIntentDisputed: by the payments.
    :raises IdempotencyKeyReused: if the command asked for something else before.
    """
    command = actor.command
    if command is None:
        raise ValueError("a refund by a note is known by the command that asked for it")
    with transaction.atomic():
        order, invoice, note = lock_note(note_id, actor=actor)
        if made := _made_before(note, actor):
            return made
        if expected_version is not None and expected_version != note.version:
            raise refusals.CreditNoteChanged(param="expected_version", current_version=note.version)
        refuse_unissued(note)
        refund = _refund_locked(order, invoice, note, data, actor=actor)
    return RefundedByNote(note, refund)


def issue_with_refund(
    note_id: str, *, refund: Wish, expected_version: int | None = None, actor: Actor, at: datetime | None = None
) -> RefundedByNote:
    """
    Issue a note and promise its credit back in one step; if it cannot go back, the note is not issued either.

    :raises FlintError: as ``issue_credit_note`` and :func:`refund_credit_note`.
    """
    with transaction.atomic():
        order, invoice, note = lock_note(note_id, actor=actor)
        if made := _made_before(note, actor):
            return made
        if expected_version is not None and expected_version != note.version:
            raise refusals.CreditNoteChanged(param="expected_version", current_version=note.version)
        issue_locked(order, invoice, note, actor=actor, at=at or timezone.now())
        made = _refund_locked(order, invoice, note, refund, actor=actor)
    return RefundedByNote(note, made)


def refuse_more_than_credited(note: CreditNote, amount: int) -> None:
    """:raises CreditNoteRefundExceedsBalance: if a note whose order is locked has less credit available."""
    available = amounts_of_note(note).available
    if amount > available or not available:
        raise CreditNoteRefundExceedsBalance(param="amount_money", maximum_money=note.money(max(available, 0)))


def tell_note(order: Order, refund: Refund, *, actor: Actor) -> None:
    """Count what became of a refund as a change of the note that it gives back by. The caller saves the order."""
    if refund.credit_note_id is None:
        return
    note = CreditNote.objects.get(id=refund.credit_note_id)
    remember(order, note, "credit_note.updated", actor=actor, refund_id=refund.id, status=refund.status)
    note.save(update_fields=["version", "updated_at"])


def _made_before(note: CreditNote, actor: Actor) -> RefundedByNote | None:
    """Return what the command made before, whatever has become of it."""
    made = readable(actor).filter(credit_note_id=note.id, command_key=actor.command.key).order_by("id").first()
    if made is None:
        return None
    if made.command_digest != actor.command.digest:
        raise IdempotencyKeyReused
    return RefundedByNote(note, made, is_repeat=True)


def _refund_locked(order: Order, invoice: Invoice, note: CreditNote, data: Wish, *, actor: Actor) -> Refund:
    if invoice.status not in STANDING or invoice.status == S.UNCOLLECTIBLE or amounts_of(invoice, order).outstanding:
        raise CreditNoteRefundInvalid(current_status=str(invoice.status))
    wanted = data.get("amount_money")
    if wanted is not None and wanted.currency != note.currency:
        raise refusals.CreditNoteCurrencyMismatch(param="amount_money.currency")
    amount = wanted.amount if wanted is not None else amounts_of_note(note).available
    refuse_more_than_credited(note, amount)
    composer = Composer(order)
    composition = composer.compose_parts(amount, _parts(note, composer, amount))
    refund = Refund(
        credit_note=note,
        reason=data["reason"],
        reason_message=data.get("reason_message", ""),
        command_key=actor.command.key,
        command_digest=actor.command.digest,
    )
    promise(order, refund, composition, actor=actor, credit_note_id=note.id)
    tell_note(order, refund, actor=actor)
    order.save()
    note.refresh_from_db(fields=["version", "updated_at"])
    return refund


def _parts(note: CreditNote, composer: Composer, amount: int) -> dict[str, tuple[int, int]]:
    """
    Say how much of each part of the order goes back, and how many units: in proportion to what the note still credits.

    What an invoice billed as a difference to earlier ones names no part; its share goes back like money without a
    target.

    :raises CreditNoteRefundExceedsBalance: if the parts have less left, because they went back otherwise.
    """
    sources = [Source(**row) for row in note.snapshot["credit_note"]["sources"]]
    gone = _gone_by(note)
    parts = [Part(source.id, _left(source, gone, composer)) for source in sources]
    if amount > (most := sum(part.remaining for part in parts)):
        raise CreditNoteRefundExceedsBalance(
            "Less is left of what the note credits: some of it went back otherwise.",
            param="amount_money",
            maximum_money=note.money(most),
        )
    amounts = spread(amount, parts)
    named: dict[str, tuple[int, int]] = {}
    for source in sources:
        if (back := amounts.get(source.id, 0)) and source.part_id:
            is_the_last_of_it = back == source.total - gone.get(source.part_id, 0)
            named[source.part_id] = (back, source.quantity or 0 if is_the_last_of_it else 0)
    return named


def _left(source: Source, gone: Mapping[str, int], composer: Composer) -> int:
    left = source.total - gone.get(source.part_id, 0)
    return max(min(left, composer.left_of(source.part_id)) if source.part_id else left, 0)


def _gone_by(note: CreditNote) -> dict[str, int]:
    """Return what refunds by a note have given back of each part, or are about to."""
    rows: Sequence[Mapping[str, Any]] = (
        RefundAllocation.objects.filter(leg__refund__credit_note=note, leg__status__in=LIVE)
        .values("line_item_id", "charge_id", "tax_breakdown_id")
        .annotate(amount=Sum("amount"))
    )
    return {row["line_item_id"] or row["charge_id"] or row["tax_breakdown_id"] or "tip": row["amount"] for row in rows}
