"""Reading invoices to be shown: with their orders, parts and fees, in a fixed number of statements for any number."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from django.db.models import QuerySet
from django.utils import timezone

from flint.actors import Actor
from invoices.amounts import InvoiceAmounts, amounts_of
from invoices.asking import Asked, asked_of
from invoices.models import Invoice


class Standing:
    """An invoice at a moment, with what it stands at; worked out once, however much of it is shown."""

    def __init__(self, invoice: Invoice, at: datetime):
        self.invoice, self.at = invoice, at

    @cached_property
    def amounts(self) -> InvoiceAmounts:
        order = self.invoice.order
        siblings = getattr(order, "_prefetched_objects_cache", {}).get("invoices")
        return amounts_of(self.invoice, order, siblings)

    @cached_property
    def asked(self) -> Asked:
        return asked_of(self.invoice, self.amounts, at=self.at)


def standing_of(invoice: Invoice, at: datetime | None = None) -> Standing:
    """Return what an invoice stands at now, or at the moment given; kept on the instance for all that shows it."""
    found = getattr(invoice, "_standing", None)
    if found is None or (at is not None and found.at != at):
        found = invoice._standing = Standing(invoice, at or timezone.now())
    return found


def readable(actor: Actor) -> QuerySet[Invoice]:
    """Return the actor's invoices with all that is shown of them; not locked, not for changing."""
    return (
        Invoice.objects.of(actor)
        .select_related("environment", "order", "customer")
        .prefetch_related("schedule_entries", "late_fees", "order__invoices__late_fees")
    )


def read_invoice(invoice_id: str, *, actor: Actor) -> Invoice:
    """
    Return one invoice with all there is to show of it.

    :raises InvoiceNotFound: if it is absent or foreign.
    """
    return readable(actor).find(id=invoice_id)


def at_one_moment(invoices: Sequence[Invoice]) -> Sequence[Invoice]:
    """Have all invoices of a page show what they stand at at the same moment."""
    now = timezone.now()
    for invoice in invoices:
        standing_of(invoice, now)
    return invoices
