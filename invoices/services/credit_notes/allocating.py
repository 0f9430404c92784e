"""Applying a note's credit to its invoice, so that less is owed, and taking it off again."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from flint.actors import Actor
from flint.api.idempotency import IdempotencyKeyReused
from flint.money import Money, share
from invoices.amounts import amounts_of
from invoices.credits import amounts_of_note
from invoices.documents.sources import CHARGE, GOODS, TAX, TIP, Source
from invoices.models import CreditNote, CreditNoteAllocation, Invoice
from invoices.models.invoices import STANDING, S
from invoices.services.credit_notes import refusals
from invoices.services.credit_notes.locking import lock_note, refuse_unissued, remember
from orders import collecting, ledger
from orders.models import LedgerEntry
from orders.services.editing import refuse_closed

KINDS = (GOODS, CHARGE, TIP, TAX)


@dataclass(frozen=True, slots=True)
class Allocated:
    """Credit applied or taken off, with the note and the invoice as they are then; ``is_repeat`` if it was before."""

    allocation: CreditNoteAllocation
    note: CreditNote
    invoice: Invoice
    is_repeat: bool = False


def allocate(note_id: str, *, money: Money, expected_version: int | None = None, actor: Actor) -> Allocated:
    """
    Apply credit to the note's invoice: less of it is owed from now on. The actor's command is the credit's identity.

    However often and late the command comes again, it is the same allocation, even one that was reversed since.

    :raises CreditNoteNotFound: if it is absent or foreign. :raises CreditNoteNotIssued: by its state.
    :raises CreditNoteChanged: if another version was expected.
    :raises CreditNoteCurrencyMismatch: for another currency.
    :raises CreditNoteAllocationExceedsBalance: if the note has less left, or less is owed.
    :raises OrderPaymentAttemptActive: while a payment is under way, which asks for what was owed when it began.
    :raises IdempotencyKeyReused: if the command asked for something else before.
    """
    command = actor.command
    if command is None:
        raise ValueError("an allocation is known by the command that asked for it")
    with transaction.atomic():
        order, invoice, note = lock_note(note_id, actor=actor)
        made = note.allocations.filter(idempotency_key=command.key).order_by("id").first()
        if made is not None:
            if made.command_digest != command.digest:
                raise IdempotencyKeyReused
            return Allocated(made, note, invoice, is_repeat=True)
        if expected_version is not None and expected_version != note.version:
            raise refusals.CreditNoteChanged(param="expected_version", current_version=note.version)
        refuse_unissued(note)
        if money.currency != note.currency:
            raise refusals.CreditNoteCurrencyMismatch(param="amount_money.currency")
        left = amounts_of_note(note).available
        owed = amounts_of(invoice, order).outstanding
        if money.amount > min(left, owed):
            raise refusals.CreditNoteAllocationExceedsBalance(
                param="amount_money", maximum_money=note.money(max(min(left, owed), 0))
            )
        collecting.refuse_while_collecting(order)
        made = CreditNoteAllocation.objects.create(
            environment_id=note.environment_id,
            note=note,
            amount=money.amount,
            idempotency_key=command.key,
            command_digest=command.digest,
            allocated_at=timezone.now(),
        )
        postings = _postings(note, made)
        order.credit(money)
        order.order_revision += 1
        event = remember(
            order, note, "credit_note.allocation_created", actor=actor, amount=made.amount, allocation_id=made.id
        )
        ledger.post(order, event, postings)
        note.save()
        order.save()
    invoice.refresh_from_db()
    return Allocated(made, note, invoice)


def reverse_allocation(
    note_id: str, allocation_id: str, *, expected_version: int | None = None, actor: Actor
) -> Allocated:
    """
    Take credit off the invoice again: it is owed once more, and the note has it to use.

    :raises CreditNoteNotFound, CreditNoteAllocationNotFound: if one is absent or foreign.
    :raises CreditNoteChanged: if another version was expected.
    :raises CreditNoteAllocationAlreadyReversed: if that was done. :raises OrderClosed: by the order.
    :raises InvoiceNotCreditable: if nobody would collect it: the invoice was given up, or a later one follows it.
    :raises OrderPaymentAttemptActive: while a payment is under way.
    """
    with transaction.atomic():
        order, invoice, note = lock_note(note_id, actor=actor, expected_version=expected_version)
        allocation = CreditNoteAllocation.objects.of(actor).find(id=allocation_id, note_id=note.id)
        if allocation.reversed_at is not None:
            raise refusals.CreditNoteAllocationAlreadyReversed
        if invoice.status not in STANDING or invoice.status == S.UNCOLLECTIBLE or order.invoice_id != invoice.id:
            raise refusals.InvoiceNotCreditable(
                "The invoice no longer collects, so what is owed again would be asked for by nobody.",
                current_status=str(invoice.status),
            )
        refuse_closed(order)
        collecting.refuse_while_collecting(order)
        allocation.reversed_at = timezone.now()
        allocation.save(update_fields=["reversed_at", "updated_at"])
        entries = LedgerEntry.objects.filter(source_id=allocation.id, kind__in=[f"credit_{kind}" for kind in KINDS])
        postings = [
            ledger.Posting(f"{entry.kind}_reversed", entry.amount, allocation.id)
            for entry in entries.order_by("sequence")
        ]
        order.credit(-order.money(allocation.amount))
        order.order_revision += 1
        event = remember(
            order,
            note,
            "credit_note.allocation_reversed",
            actor=actor,
            amount=allocation.amount,
            allocation_id=allocation.id,
        )
        ledger.post(order, event, postings)
        note.save()
        order.save()
    invoice.refresh_from_db()
    return Allocated(allocation, note, invoice)


def _postings(note: CreditNote, allocation: CreditNoteAllocation) -> list[ledger.Posting]:
    """
    Say what an allocation credits, by what it was recognised as when it was sold.

    In proportion to what the note has left of each, so that allocations of a whole note credit exactly what it says.
    """
    billed = _by_kind([Source(**row) for row in note.snapshot["credit_note"]["sources"]])
    live = note.allocations.filter(reversed_at__isnull=True).exclude(id=allocation.id).values_list("id", flat=True)
    posted = LedgerEntry.objects.filter(source_id__in=list(live), kind__startswith="credit_")
    taken = dict(posted.values_list("kind").annotate(Sum("amount")))
    left = [billed[kind] - taken.get(f"credit_{kind}", 0) for kind in KINDS]
    parts = share(allocation.amount, left)
    return [
        ledger.Posting(f"credit_{kind}", part, allocation.id) for kind, part in zip(KINDS, parts, strict=True) if part
    ]


def _by_kind(sources: Sequence[Source]) -> dict[str, int]:
    sums = dict.fromkeys(KINDS, 0)
    for source in sources:
        sums[TAX] += source.tax
        sums[source.kind] += source.total - source.tax
    return sums
