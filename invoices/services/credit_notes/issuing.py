"""Issuing a credit note: it gets its number and is frozen. What it is worth to the buyer comes after."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.api import wire
from flint.money import share
from invoices.documents.sources import Source
from invoices.models import CreditNote, CreditNoteLine, Invoice
from invoices.models.numbers import Series
from invoices.numbering import next_number
from invoices.services.credit_notes.drafting import work_out_again
from invoices.services.credit_notes.lines import Creditable, makeup_of_line
from invoices.services.credit_notes.locking import lock_note, refuse_issued, remember
from invoices.services.credit_notes.refusals import InvalidCreditNote
from orders.models import Order

SHARED = ("customer_display_name", "customer_email", "billing_address", "seller_tax_identity", "buyer_tax_identity")
"""What a credit note says as its invoice did."""


def issue_credit_note(
    note_id: str, *, expected_version: int | None = None, actor: Actor, at: datetime | None = None
) -> CreditNote:
    """
    Issue a draft. By itself that moves no money and no debt: an allocation or a refund does.

    :raises CreditNoteNotFound: if it is absent or foreign. :raises CreditNoteNotDraft: if it was issued already.
    :raises CreditNoteChanged: if another version was expected. :raises InvalidCreditNote: if it takes nothing back.
    :raises InvoiceNotCreditable, CreditNoteAmountExceedsCreditable: by what other notes have left.
    """
    with transaction.atomic():
        order, invoice, note = lock_note(note_id, actor=actor, expected_version=expected_version)
        issue_locked(order, invoice, note, actor=actor, at=at or timezone.now())
        order.save(update_fields=["event_count", "updated_at"])
    return note


def issue_locked(order: Order, invoice: Invoice, note: CreditNote, *, actor: Actor, at: datetime) -> None:
    """Issue a draft of a locked order; as :func:`issue_credit_note`. Saves the note; the caller saves the order."""
    refuse_issued(note)
    creditable = Creditable(invoice)
    lines = work_out_again(note, creditable)
    if not note.total_amount:
        raise InvalidCreditNote(param="credit_note_lines")
    note.sequence, note.number = next_number(order.environment_id, Series.CREDIT_NOTE)
    note.issue(at=at)
    note.snapshot = freeze(note, invoice, creditable, lines)
    remember(
        order,
        note,
        "credit_note.issued",
        actor=actor,
        number=note.number,
        amount=note.total_amount,
        reason=note.reason,
    )
    note.save()


def freeze(note: CreditNote, invoice: Invoice, creditable: Creditable, lines: list[CreditNoteLine]) -> dict[str, Any]:
    """Return what a note says that is about to be issued, its parties and looks as on its invoice."""
    billed = invoice.snapshot
    document = billed["document"]
    kept = ("currency", "timezone", "language", "page_size", "factur_x", "po_number", "order_number", "branding")
    snapshot = {
        **{name: billed[name] for name in SHARED if name in billed},
        "memo": note.memo,
        "reference": billed.get("reference", ""),
        "credit_note": {
            "reason": note.reason,
            "invoice_number": invoice.number,
            "invoice_issued_at": document["issued_at"],
            "sources": [asdict(_credited(creditable.sources[line.invoice_line_item_id], line)) for line in lines],
        },
        "document": {
            **{name: document[name] for name in (*kept, "recipient_email", "issuer")},
            "number": note.number,
            "issued_at": wire.timestamp(note.issued_at),
            "taxes": [row for line in lines for row in _taxes(document["taxes"], creditable, line)],
        },
    }
    return {name: value for name, value in snapshot.items() if value not in ("", None)}


def _credited(source: Source, line: CreditNoteLine) -> Source:
    """Return the part of something billed that a line takes back."""
    makeup = makeup_of_line(line)
    return Source(
        id=source.id,
        part_id=source.part_id,
        kind=source.kind,
        name=source.name,
        description="",
        quantity=line.quantity,
        unit_price=source.unit_price if line.quantity else None,
        subtotal=makeup.subtotal,
        discount=makeup.discount,
        tax=makeup.all_tax,
        inclusive_tax=makeup.inclusive,
        total=makeup.total,
        percents=source.percents,
    )


def _taxes(rows: list[dict[str, Any]], creditable: Creditable, line: CreditNoteLine) -> list[dict[str, Any]]:
    """Share the tax of a line out over the taxes that there are on what it takes back of."""
    source = creditable.sources[line.invoice_line_item_id]
    owned = [
        row
        for row in rows
        if (row["order_line_item_id"] or row["order_charge_id"] or row["tax_breakdown_id"]) == source.part_id
    ]
    billed = [row["tax_money"]["amount"] for row in owned]
    if not sum(billed):
        return []
    net = line.total_amount - line.tax_amount
    taxes = zip(owned, share(line.tax_amount, billed), strict=True)
    currency = creditable.invoice.currency
    return [
        {
            **row,
            "taxable_money": {"amount": net if row["percent"] is not None else 0, "currency": currency},
            "tax_money": {"amount": tax, "currency": currency},
        }
        for row, tax in taxes
    ]
