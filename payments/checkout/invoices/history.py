"""What happened to an invoice, as its buyer is told: rows of text, oldest first, rendered from the order's events."""

from datetime import datetime, tzinfo

from flint.events.models import Event
from flint.languages import Language, phrase
from flint.messages.kinds import Row
from flint.money import Money
from invoices.models import Invoice
from invoices.models.invoices import STANDING
from orders.models import Order

TOLD = {
    "invoice.issued": phrase("Issued"),
    "payment.settled": phrase("Paid"),
    "invoice.manual_payment_recorded": phrase("Paid"),
    "invoice.manual_payment_reversed": phrase("Payment taken back"),
    "refund.succeeded": phrase("Refunded"),
    "credit_note.allocation_created": phrase("Credited"),
    "credit_note.allocation_reversed": phrase("Credit taken back"),
    "invoice.late_fee_assessed": phrase("Late fee"),
    "invoice.late_fee_waived": phrase("Late fee waived"),
    "invoice.voided": phrase("Withdrawn"),
}
"""The events that a buyer is told of. What only the merchant minds is none of them."""

WITHOUT_AMOUNT = ("invoice.voided",)


def history_of(invoice: Invoice, order: Order, language: Language, zone: tzinfo) -> list[Row]:
    """Return what happened to an invoice: a label, the amount and the day of each. One statement for most."""
    events = Event.objects.filter(order_id=order.id, type__in=TOLD).order_by("sequence")
    if since := _since(invoice):
        events = events.filter(created_at__gt=since)
    rows = []
    for event in events:
        if event.subject_type == "invoice" and event.subject_id != invoice.id:
            continue
        money = "" if event.type in WITHOUT_AMOUNT else language.money(Money(_amount(event), event.currency))
        rows.append(Row(language.say(TOLD[event.type]), money, language.date(event.created_at, zone)))
    return rows


def _since(invoice: Invoice) -> datetime | None:
    """Return when the invoice before this one was done with: what happened until then is that one's."""
    earlier = Invoice.objects.filter(order_id=invoice.order_id, status__in=STANDING, sequence__lt=invoice.sequence)
    return earlier.order_by("-sequence").values_list("closed_at", flat=True).first()


def _amount(event: Event) -> int:
    """Return what an event moved: as it says, else by how much it changed the balance."""
    names = ("total_amount", "amount") if event.type == "invoice.issued" else ("amount",)
    return next((event.data[name] for name in names if name in event.data), abs(event.balance_delta_amount))
