"""Charging what a customer has saved for an invoice: when the merchant says so, or by itself when something is due."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from flint import actors
from flint.actors import Actor, Command
from flint.errors import FlintError, PaymentRefused
from invoices.models import Invoice
from invoices.services.autopay import Outcome, collects
from invoices.services.choosing import InvoiceAutopayPaymentMethodRequired, checks_method
from invoices.services.locking import refuse_draft
from invoices.services.paying import refusal_for
from orders.collecting import OrderPaymentAttemptActive
from orders.models import Customer, Order
from payments.models import PaymentAttempt, PaymentMethod
from payments.models.attempts import A
from payments.services.pay import collect
from payments.services.sources import PaymentSourceOwnershipMismatch, refuse_unusable
from payments.services.starting import processor_name

log = structlog.get_logger(__name__)


class InvoicePaymentFailed(PaymentRefused):
    code = "INVOICE_PAYMENT_FAILED"
    message = "The bank declined. Nothing was charged; try another payment method, or have the customer pay."


def collect_invoice(
    *, invoice_id: str, data: Mapping[str, Any], actor: Actor, at: datetime | None = None
) -> PaymentAttempt:
    """
    Charge a saved payment method with what is due of an invoice, or with one part of its schedule, now.

    The method is the one that is named, else the invoice's own, else the customer's default. A repeat of the actor's
    command finds the attempt that it made. Return the attempt as it is now: settled, or under way.

    :raises InvoiceNotFound, InvoiceNotIssued, InvoiceNotCollectible, InvoiceScheduleEntryNotCollectible,
        OrderNotPayable: by the invoice. :raises InvoicePaymentResolving, InvoicePaymentProcessing: if it is being paid.
    :raises InvoiceAutopayPaymentMethodRequired: if there is nothing to charge; also as
        :func:`~payments.services.sources.source_of`.
    :raises InvoicePaymentFailed: with the attempt, if the bank declined.
    """
    invoice = Invoice.objects.of(actor).select_related("order").find(id=invoice_id)
    refuse_draft(invoice)
    method_id = data.get("payment_method_id") or invoice.payment_method_id or _default_method_id(invoice)
    if not method_id:
        raise InvoiceAutopayPaymentMethodRequired(param="payment_method_id")
    asked = {
        "action": "pay",
        "payment_source": {"payment_method_id": method_id},
        "invoice_id": invoice.id,
        "invoice_schedule_entry_id": data.get("invoice_schedule_entry_id"),
        "at": at,
    }
    try:
        begun = collect(order_id=invoice.order_id, data=asked, actor=actor)
    except OrderPaymentAttemptActive as active:
        raise refusal_for(active) from None
    attempt = PaymentAttempt.objects.of(actor).find(id=begun.id)
    if attempt.status in (A.FAILED, A.CANCELED, A.EXPIRED):
        raise InvoicePaymentFailed(
            invoice_payment_attempt_id=attempt.id,
            order_payment_attempt_id=attempt.id,
            payment_attempt_status=attempt.status,
            is_resumable=False,
            reason=attempt.failure_code,
        )
    return attempt


@collects
def collect_automatically(*, invoice_id: str, entry_id: str | None, number: int, at: datetime) -> Outcome:
    """Charge what is due as Flint itself; see :func:`invoices.services.autopay.collect_due`."""
    invoice = Invoice.objects.get(id=invoice_id)
    name = f"autopay {invoice.id} {entry_id or 'all'} {number}"
    command = Command(key=name, digest=hashlib.sha256(name.encode()).hexdigest())
    actor = actors.system(invoice.environment_id, "Autopay").with_command(command)
    data = {"invoice_schedule_entry_id": entry_id} if entry_id else {}
    try:
        attempt = collect_invoice(invoice_id=invoice.id, data=data, actor=actor, at=at)
    except InvoicePaymentFailed:
        return "failed"
    except FlintError as refusal:
        log.info("invoice.autopay_refused", invoice_id=invoice.id, code=refusal.code)
        return "refused"
    return "pending" if attempt.is_open else "paid"


@checks_method
def refuse_unchargeable(order: Order, method_id: str) -> None:
    """
    Refuse a payment method that could not be charged for an order while its buyer is away.

    :raises PaymentMethodNotFound: if it is absent or foreign. :raises PaymentSourceOwnershipMismatch: if it is another
        customer's. :raises PaymentMethodNotReady, PaymentMethodUnavailable, PaymentMethodOnSessionOnly: by the method.
    """
    actor, param = actors.system(order.environment_id, "Autopay"), "collection.payment_method_id"
    method = PaymentMethod.objects.of(actor).find(id=method_id)
    if method.customer_id != order.customer_id:
        raise PaymentSourceOwnershipMismatch(param=param)
    refuse_unusable(method, param, processor=processor_name(actor), actor=actor)


def _default_method_id(invoice: Invoice) -> str:
    customers = Customer.objects.filter(id=invoice.order.customer_id).order_by("id")
    return customers.values_list("default_payment_method_id", flat=True).first() or ""
