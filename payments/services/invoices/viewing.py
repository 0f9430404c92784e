"""Remembering that a buyer has seen an invoice: the first time, and no time after that."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from invoices.models import Invoice
from invoices.services.locking import lock_invoice, remember, save_counts


def note_viewed(invoice: Invoice, *, actor: Actor, at: datetime | None = None) -> None:
    """Remember that an invoice was opened by its link, unless it was before."""
    if invoice.viewed_at is not None:
        return
    with transaction.atomic():
        order, seen = lock_invoice(invoice.id, actor=actor)
        if seen.viewed_at is not None:
            return
        seen.viewed_at = at or timezone.now()
        remember(order, seen, "invoice.viewed", actor=actor)
        seen.save()
        save_counts(order)
