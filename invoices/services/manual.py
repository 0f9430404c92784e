"""Money that came in for an invoice by another way than through Flint."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from flint.money import Money
from invoices.amounts import amounts_of
from invoices.models import Invoice
from invoices.models.invoices import S
from invoices.services.locking import lock_invoice, refuse_draft
from invoices.services.paying import InvoiceNotCollectible, refuse_while_paying
from orders.services import manual_payments

REVERSIBLE = (S.PAID, S.PARTIALLY_PAID)


class InvoiceNotReversible(Conflict):
    code = "INVOICE_NOT_REVERSIBLE"
    message = "Nothing that was recorded by hand on this invoice can be taken back now."


def record_manual_payment(
    *,
    invoice_id: str,
    money: Money,
    expected_version: int | None = None,
    actor: Actor,
    at: datetime | None = None,
    **details: Any,
) -> Invoice:
    """
    Record that money for an issued invoice came in; its order counts it as paid, and its status follows.

    A checkout that is merely open ends; ``details``: ``received_at``, ``note``, ``external_reference_id``.

    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceVersionConflict: if another was expected.
    :raises InvoiceNotIssued, InvoiceNotCollectible: if it asks for nothing.
    :raises InvoicePaymentResolving, InvoicePaymentProcessing: if a payment is under way.
    :raises AmountExceedsBalance, ManualPaymentCurrencyMismatch: by the amount.
    """
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor, expected_version=expected_version)
        refuse_draft(invoice)
        if not invoice.is_asking:
            raise InvoiceNotCollectible(current_status=str(invoice.status))
        refuse_while_paying(order)
        manual_payments.record_locked(
            order,
            money,
            most=amounts_of(invoice, order).outstanding,
            type="invoice.manual_payment_recorded",
            subject=invoice,
            actor=actor,
            at=at or timezone.now(),
            invoice_id=invoice.id,
            **details,
        )
        order.save()
        invoice.refresh_from_db()
    return invoice


def reverse_manual_payment(
    *,
    invoice_id: str,
    money: Money,
    expected_version: int | None = None,
    actor: Actor,
    at: datetime | None = None,
    **details: Any,
) -> Invoice:
    """
    Take back a part, or all, of what was recorded by hand on an invoice; it asks for that again.

    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceVersionConflict: if another was expected.
    :raises InvoiceNotIssued, InvoiceNotReversible: by what became of the invoice.
    :raises InvoicePaymentResolving, InvoicePaymentProcessing: if a payment is under way.
    :raises ReversalExceedsManualPayments, ManualPaymentCurrencyMismatch: by the amount.
    """
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor, expected_version=expected_version)
        refuse_draft(invoice)
        # What an earlier invoice gave up would be asked for by the one that came after it.
        if invoice.status not in REVERSIBLE or order.invoice_id != invoice.id or order.status != "open":
            raise InvoiceNotReversible(current_status=str(invoice.status))
        refuse_while_paying(order)
        manual_payments.reverse_locked(
            order,
            money,
            type="invoice.manual_payment_reversed",
            subject=invoice,
            actor=actor,
            at=at or timezone.now(),
            invoice_id=invoice.id,
            **details,
        )
        order.save()
        invoice.refresh_from_db()
    return invoice
