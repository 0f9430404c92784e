"""Preparing an invoice: a draft that bills nothing yet, while its order stays what it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from invoices.amounts import billed_amount
from invoices.models import Invoice
from invoices.models.invoices import ACTIVE, ASKING
from invoices.services import choosing
from invoices.services.locking import lock_invoice, remember, save_counts
from invoices.services.paying import InvoiceNotCollectible
from orders.models import Order
from orders.services import create_order

GUARDS = ("expected_version",)


class OrderAlreadyHasActiveInvoice(Conflict):
    code = "ORDER_ALREADY_HAS_ACTIVE_INVOICE"
    message = "Another invoice is for this order. Change, void or finish that one."


class OrderNotOpen(Conflict):
    code = "ORDER_NOT_OPEN"
    message = "The order is closed: nothing more is owed on it."


class OrderAlreadyPaid(Conflict):
    code = "ORDER_ALREADY_PAID"
    message = "Nothing is outstanding on the order, so there is nothing to ask for."


class OrderAlreadyBilled(Conflict):
    code = "ORDER_ALREADY_BILLED"
    message = "An invoice that was given up bills what the order owes again. Collect it without another invoice."


class ExpectedVersionRequired(InvalidInput):
    code = "EXPECTED_VERSION_REQUIRED"
    message = "A schedule is replaced as a whole. Send the draft's 'version' that you looked at as 'expected_version'."


def create_invoice(*, data: Mapping[str, Any], actor: Actor, at: datetime | None = None) -> Invoice:
    """
    Prepare an invoice for an order, or for what ``quick_pay`` sells: an order is made for that.

    ``data`` is a validated request of the contract. One order has one invoice at a time that is not done with.

    :raises OrderNotFound, OrderNotOpen, OrderAlreadyPaid, OrderAlreadyHasActiveInvoice, OrderAlreadyBilled: by the
        order.
    :raises InvalidInvoicePaymentTerm, InvoicePaymentTermUnavailable, CustomerPaymentTermUnavailable,
        InvoicePaymentTermCurrencyMismatch, InvoiceScheduleInvalid, ScheduledSendInPast: by what was chosen.
    """
    at = at or timezone.now()
    with transaction.atomic():
        if "quick_pay" in data:
            # An order like any other: it is paid in parts, itemised on receipts and refunded by line, which a hidden
            # one, made for a single payment, is not.
            order, _ = create_order(actor=actor, data=data["quick_pay"])
        else:
            order = Order.objects.of(actor).lock(id=data["order_id"])
            refuse_billed(order)
        refuse_nothing_owed(order)
        refuse_billed_before(order)
        settings = choosing.settings_of(order.environment_id)
        invoice = Invoice(
            environment_id=order.environment_id,
            order=order,
            currency=order.currency,
            memo=settings["default_memo"] or "",
            footer=settings["default_footer"] or "",
            remit_to_address=settings["remit_to_address"],
            metadata=data.get("metadata", {}),
        )
        choosing.refuse_past_send(invoice, data, at=at)
        choosing.take_over(invoice, data)
        choosing.resolve(invoice, order, settings)
        _schedule_next(invoice)
        invoice.save(force_insert=True)
        if data.get("schedule_entries"):
            _replace_entries(invoice, order, data["schedule_entries"])
        events.record(order, "invoice.created", subject=invoice, actor=actor, version=invoice.version)
        save_counts(order)
    return invoice


def update_invoice(*, invoice_id: str, data: Mapping[str, Any], actor: Actor, at: datetime | None = None) -> Invoice:
    """
    Change what ``data`` names of a draft. Once it is issued, only whether it is reminded of, and nothing beside that.

    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceNotDraft: if it was issued.
    :raises InvoiceDraftChanged, InvoiceVersionConflict: if another version was expected.
    :raises ExpectedVersionRequired: if a schedule comes without. Otherwise as :func:`create_invoice`.
    """
    at = at or timezone.now()
    with transaction.atomic():
        if set(data) - set(GUARDS) == {"reminders_paused"}:
            return _pause_reminders(invoice_id, data, actor, at)
        order, invoice = lock_invoice(
            invoice_id, actor=actor, expected_version=data.get("expected_version"), expects_draft=True
        )
        if "reminders_paused" in data:
            raise RemindersPausedAlone(param="reminders_paused")
        if "schedule_entries" in data and "expected_version" not in data:
            raise ExpectedVersionRequired(param="expected_version")
        settings = choosing.settings_of(order.environment_id)
        choosing.refuse_past_send(invoice, data, at=at)
        choosing.take_over(invoice, data)
        choosing.resolve(invoice, order, settings)
        if "metadata" in data:
            invoice.metadata = merge(invoice.metadata, data["metadata"])
        _schedule_next(invoice)
        if "schedule_entries" in data:
            _replace_entries(invoice, order, data["schedule_entries"])
        remember(order, invoice, "invoice.updated", actor=actor, changed=sorted(set(data) - set(GUARDS)))
        invoice.save()
        save_counts(order)
    return invoice


class RemindersPausedAlone(InvalidInput):
    code = "INVALID_INVOICE"
    message = "Reminders are paused once the invoice was issued, and by a request that says nothing else."


def _pause_reminders(invoice_id: str, data: Mapping[str, Any], actor: Actor, at: datetime) -> Invoice:
    order, invoice = lock_invoice(invoice_id, actor=actor, expected_version=data.get("expected_version"))
    if invoice.status == "draft":
        raise RemindersPausedAlone(param="reminders_paused")
    if not invoice.is_asking:
        raise InvoiceNotCollectible(current_status=str(invoice.status))
    wanted = data["reminders_paused"]
    if wanted == (invoice.reminders_paused_at is not None):
        return invoice
    invoice.reminders_paused_at = at if wanted else None
    if not wanted:
        # What came up while they were paused is not caught up on.
        invoice.reminded_until = at
    remember(order, invoice, "invoice.updated", actor=actor, changed=["reminders_paused"], reminders_paused=wanted)
    invoice.save()
    save_counts(order)
    return invoice


def _schedule_next(invoice: Invoice) -> None:
    """Have the clock issue a draft at the time that was named for it."""
    invoice.next_action_at = invoice.scheduled_send_at
    invoice.issue_error = ""


def _replace_entries(invoice: Invoice, order: Order, wanted: list[Mapping[str, Any]]) -> None:
    entries = choosing.replace_entries(invoice, wanted)
    choosing.plan(invoice, entries, to_bill(order))
    for entry in entries:
        entry.save()


def to_bill(order: Order) -> int:
    """Return what a next invoice of a locked order would bill: its total less what standing ones bill already."""
    return order.total_amount - billed_amount(order.id)


def refuse_billed(order: Order) -> None:
    """:raises OrderAlreadyHasActiveInvoice: if a locked order has an invoice that is not done with."""
    _refuse_beside(Invoice.objects.filter(order_id=order.id, status__in=ACTIVE).order_by("id").first())


def refuse_asked(order: Order) -> None:
    """:raises OrderAlreadyHasActiveInvoice: if an invoice of a locked order asks for money: it may again."""
    _refuse_beside(Invoice.objects.filter(order_id=order.id, status__in=ASKING).order_by("id").first())


def _refuse_beside(found: Invoice | None) -> None:
    if found is not None:
        raise OrderAlreadyHasActiveInvoice(
            invoice_id=found.id,
            current_status=str(found.status),
            blocking_resources=[{"resource_type": "invoice", "resource_id": found.id, "status": str(found.status)}],
            blocking_resource_count=1,
        )


def refuse_nothing_owed(order: Order) -> None:
    """:raises OrderNotOpen: if a locked order is closed. :raises OrderAlreadyPaid: if nothing is left to ask for."""
    if order.status != "open":
        raise OrderNotOpen(current_status=str(order.status))
    if not order.outstanding_amount:
        raise OrderAlreadyPaid()


def refuse_billed_before(order: Order) -> None:
    """
    Refuse to bill twice what a locked order owes again, such as by a dispute, for an invoice that was written off.

    :raises OrderAlreadyBilled: if it owes more than what no standing invoice bills.
    """
    if order.invoice_id and order.outstanding_amount > to_bill(order):
        raise OrderAlreadyBilled(invoice_id=order.invoice_id, current_money=order.outstanding_money)
