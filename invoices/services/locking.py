"""The one door to an invoice: its order's lock."""

from flint.actors import Actor
from flint.errors import Conflict
from flint.events import services as events
from flint.events.models import Event
from invoices.models import Invoice
from orders.models import Order


class InvoiceDraftChanged(Conflict):
    code = "INVOICE_DRAFT_CHANGED"
    message = "The draft has changed since you read it. Read it again and decide anew."


class InvoiceVersionConflict(Conflict):
    code = "VERSION_CONFLICT"
    message = "The invoice has changed since you read it. Read it again and decide anew."


class InvoiceNotDraft(Conflict):
    code = "INVOICE_NOT_DRAFT"
    message = "The invoice was issued and stays as it is. After that, only its reminders can be paused."


class InvoiceNotIssued(Conflict):
    code = "INVOICE_NOT_ISSUED"
    message = "The invoice is still a draft. Issue it first."


def lock_invoice(
    invoice_id: str, *, actor: Actor, expected_version: int | None = None, expects_draft: bool = False
) -> tuple[Order, Invoice]:
    """
    Lock the order of an invoice and return both; nobody changes an invoice without that lock. In a transaction.

    :param expects_draft: the caller is after a draft, whatever its version.
    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceNotDraft: if a draft was expected.
    :raises InvoiceDraftChanged, InvoiceVersionConflict: if another version was expected.
    """
    order_id = Invoice.objects.of(actor).values_list("order_id", flat=True).find(id=invoice_id)
    order = Order.objects.behind(actor).lock(id=order_id)
    invoice = Invoice.objects.of(actor).find(id=invoice_id)
    invoice.order = order
    if expects_draft:
        refuse_issued(invoice)
    if expected_version is not None and expected_version != invoice.version:
        refusal = InvoiceDraftChanged if invoice.status == "draft" else InvoiceVersionConflict
        raise refusal(param="expected_version", current_version=invoice.version)
    return order, invoice


def refuse_issued(invoice: Invoice) -> None:
    """:raises InvoiceNotDraft: if it is none."""
    if invoice.status != "draft":
        raise InvoiceNotDraft(current_status=str(invoice.status))


def refuse_draft(invoice: Invoice) -> None:
    """:raises InvoiceNotIssued: if it was never issued."""
    if invoice.issued_at is None:
        raise InvoiceNotIssued(current_status=str(invoice.status))


def remember(order: Order, invoice: Invoice, type: str, *, actor: Actor, **data) -> Event:
    """Count a change in an invoice's version and record it. The caller saves both."""
    invoice.version += 1
    return events.record(order, type, subject=invoice, actor=actor, version=invoice.version, **data)


def save_counts(order: Order) -> None:
    """Save what a locked order counts of its history, where nothing else of it changed."""
    order.save(update_fields=["event_count", "updated_at"])
