"""What a payment of an invoice is to bring: what is due of it, or one part of its schedule."""

from dataclasses import dataclass
from datetime import datetime

from flint.errors import Conflict
from flint.money import Money
from invoices.amounts import amounts_of
from invoices.asking import asked_of
from invoices.models import Invoice, InvoiceScheduleEntry
from invoices.services.paying import InvoiceNotCollectible, refuse_uncollectible
from orders.models import Order
from payments.models import CheckoutSession


class InvoiceScheduleEntryNotCollectible(Conflict):
    code = "INVOICE_SCHEDULE_ENTRY_NOT_COLLECTIBLE"
    message = "This part of the invoice cannot be paid now: it is settled, or an earlier one comes first."


@dataclass(frozen=True, slots=True)
class Part:
    """What is asked for, in minor units, and for which invoice and which part of its schedule, if for one."""

    amount: int
    currency: str
    invoice: Invoice | None = None
    entry: InvoiceScheduleEntry | None = None

    @property
    def money(self) -> Money:
        """The amount with its currency."""
        return Money(self.amount, self.currency)

    @property
    def invoice_id(self) -> str | None:
        """The invoice's id, where there is one."""
        return self.invoice.id if self.invoice else None


def part_of_invoice(invoice: Invoice, order: Order, *, entry_id: str | None = None, at: datetime) -> Part:
    """
    Return what a payment of an invoice asks for: one part of its schedule, else what is due, else what is due next.

    Money fills the parts from the first to the last, so that one can be paid once nothing before it is owed.

    :raises InvoiceNotIssued, InvoiceNotCollectible: if it asks for no money.
    :raises InvoiceScheduleEntryNotCollectible: if the named part is settled, comes too early, or is none of this one.
    """
    refuse_uncollectible(invoice)
    asked = asked_of(invoice, amounts_of(invoice, order), at=at)
    following = asked.next_entry
    if entry_id is not None:
        if following is None or following.entry.id != entry_id:
            raise InvoiceScheduleEntryNotCollectible(param="invoice_schedule_entry_id")
        return Part(min(following.filled.outstanding, asked.outstanding), invoice.currency, invoice, following.entry)
    if asked.currently_due:
        return Part(asked.currently_due, invoice.currency, invoice)
    if following is None:
        raise InvoiceNotCollectible(current_status=str(invoice.status))
    return Part(min(following.filled.outstanding, asked.outstanding), invoice.currency, invoice, following.entry)


def part_of_session(session: CheckoutSession, order: Order, *, at: datetime) -> Part:
    """
    Return what an open session asks for: all that its order owes, or its invoice's part.

    :raises InvoiceNotCollectible, InvoiceScheduleEntryNotCollectible: if there is no such part any more.
    """
    if session.invoice_id is None:
        return Part(order.outstanding_amount, order.currency)
    invoice = Invoice.objects.get(id=session.invoice_id)
    return part_of_invoice(invoice, order, entry_id=session.invoice_schedule_entry_id, at=at)
