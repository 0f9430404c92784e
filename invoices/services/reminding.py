"""
Reminding of an invoice: by the merchant's rules, on mornings around what is due, and when somebody asks for it.

A rule's moment is passed once, whether or not a reminder was sent for it: what was missed while reminders were paused
is not caught up on, and after a downtime the latest one that was missed stands for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import TooManyRequests
from flint.events import services as events
from invoices.asking import Due
from invoices.due import reminder_at
from invoices.models import Invoice, InvoiceDelivery
from invoices.models.deliveries import DeliveryStatus, DeliveryType
from invoices.services import delivering
from invoices.services.locking import lock_invoice, refuse_draft, save_counts
from invoices.services.paying import InvoiceNotCollectible
from orders.models import Order

PAUSE = timedelta(hours=1)
"""How soon after a reminder by hand there may be another."""


class InvoiceReminderRateLimited(TooManyRequests):
    code = "INVOICE_REMINDER_RATE_LIMITED"
    message = "A reminder was sent less than an hour ago."


@dataclass(frozen=True, slots=True)
class Reminder:
    """One reminder by a rule: of what, and when."""

    due: Due
    days_from_due: int
    at: datetime

    @property
    def fact(self) -> str:
        """What it is told as, once."""
        return f"reminder {self.days_from_due:+d} {self.due.due_at:%Y-%m-%d} {self.due.entry_id or ''}".strip()


def reminders_of(invoice: Invoice, dues: Sequence[Due], rules: Sequence[int]) -> Iterator[Reminder]:
    """Return all reminders that an invoice ever comes to by these rules, each so many days from each due date."""
    for due in dues:
        if due.due_at is not None:
            for days in rules:
                yield Reminder(due, days, reminder_at(due.due_at, days, invoice.timezone))


def remind_by_rule(
    order: Order, invoice: Invoice, reminders: Sequence[Reminder], *, actor: Actor, at: datetime
) -> bool:
    """
    Send the latest reminder that has come up of a locked order's invoice since it was last looked at, if any.

    Marks all of them as passed. The caller saves the invoice and the order. Returns whether one was told.
    """
    since = invoice.reminded_until or invoice.issued_at or at
    missed = [each for each in reminders if since < each.at <= at]
    invoice.reminded_until = max(at, since)
    open_ones = [each for each in missed if each.due.outstanding]
    if not open_ones or invoice.reminders_paused_at is not None:
        return False
    latest = max(open_ones, key=lambda each: each.at)
    events.record(
        order,
        "invoice.reminder_due",
        subject=invoice,
        actor=actor,
        due_at=latest.due.due_at.isoformat() if latest.due.due_at else None,
        days_from_due=latest.days_from_due,
        **({"invoice_schedule_entry_id": latest.due.entry_id} if latest.due.entry_id else {}),
    )
    delivering.send(order, invoice, fact=latest.fact, type=DeliveryType.REMINDER, actor=actor, at=at)
    return True


@dataclass(frozen=True, slots=True)
class Reminded:
    """An invoice, and the email that reminds of it."""

    invoice: Invoice
    delivery: InvoiceDelivery


def send_reminder(*, invoice_id: str, actor: Actor, at: datetime | None = None) -> Reminded:
    """
    Remind of an invoice now, whatever the rules say and even while they are paused.

    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceNotIssued: if it is a draft.
    :raises InvoiceNotCollectible: if it asks for no money. :raises InvoiceReminderRateLimited: soon after another one.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor)
        refuse_draft(invoice)
        if not invoice.is_asking:
            raise InvoiceNotCollectible(current_status=str(invoice.status))
        _refuse_soon_again(invoice, at)
        event = events.record(order, "invoice.reminder_requested", subject=invoice, actor=actor)
        delivery = delivering.send(
            order, invoice, fact=f"reminder {event.id}", type=DeliveryType.REMINDER, actor=actor, at=at
        )
        save_counts(order)
    return Reminded(invoice, delivery)


def _refuse_soon_again(invoice: Invoice, at: datetime) -> None:
    lately = InvoiceDelivery.objects.filter(
        invoice_id=invoice.pk, delivery_type=DeliveryType.REMINDER, created_at__gt=at - PAUSE
    ).exclude(status__in=[DeliveryStatus.FAILED, DeliveryStatus.SUPPRESSED])
    newest = lately.order_by("-created_at", "-id").values_list("created_at", flat=True).first()
    if newest is not None:
        raise InvoiceReminderRateLimited(retry_after=max(int((newest + PAUSE - at).total_seconds()), 1))
