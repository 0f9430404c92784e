"""Keeping an invoice's status at what its order stands at, in the transaction that moved the order."""

from django.utils import timezone

from flint.actors import Actor
from flint.events import services as events
from flint.events.models import Event
from invoices.amounts import InvoiceAmounts, amounts_of, billed_amount, status_of
from invoices.models import Invoice
from invoices.models.invoices import ASKING, FOLLOWING, S
from orders import collecting, ledger
from orders.collecting import InvoiceLockedOrderFinancials
from orders.models import Order

BY_CREDIT = "credit_note.allocation_created"


@ledger.when_posted
def follow(order: Order, event: Event) -> None:
    """
    Move the invoice of a locked order with what was just posted for it, and tell. The caller saves the order.

    :raises InvoiceLockedOrderFinancials: if the order would be worth less than what its invoices bill.
    """
    if not order.invoice_id:
        return
    invoice = Invoice.objects.get(id=order.invoice_id)
    if order.total_amount < billed_amount(order.id):
        raise InvoiceLockedOrderFinancials(invoice_id=invoice.id)
    if invoice.status not in FOLLOWING:
        return
    now = amounts_of(invoice, order)
    by_credit = event.type == BY_CREDIT or (invoice.status == S.CREDITED and not now.outstanding)
    status = status_of(now, by_credit=by_credit)
    told = _what_happened(invoice, order, event, now, status)
    if status != invoice.status:
        invoice.follow(status=status, at=timezone.now())
    elif not told and not (event.balance_delta_amount and status in ASKING):
        return
    # The clock looks again at what is due of it now.
    invoice.next_action_at = timezone.now()
    invoice.version += 1
    invoice.save()
    order.bill(invoice.id, is_open=status in ASKING)
    actor = Actor(
        kind=event.actor_kind,
        environment_id=event.environment_id,
        id=event.actor_id,
        label=event.actor_label,
        request_id=event.request_id,
    )
    # A movement that is told of the invoice itself needs no second word.
    otherwise = [] if event.subject_id == invoice.id else ["invoice.updated"]
    for type in told or otherwise:
        events.record(
            order,
            type,
            subject=invoice,
            actor=actor,
            because=event.type,
            because_id=event.subject_id,
            amount=abs(event.balance_delta_amount),
            outstanding_amount=now.outstanding,
            version=invoice.version,
        )


@collecting.when_handed
def go_along(order: Order) -> None:
    """Have the draft of a locked order be for its new customer."""
    Invoice.objects.filter(order_id=order.id, status=S.DRAFT).update(customer_id=order.customer_id)


def _what_happened(invoice: Invoice, order: Order, event: Event, now: InvoiceAmounts, status: str) -> list[str]:
    """Return the event types that tell what a movement did to an invoice."""
    if event.type == BY_CREDIT:
        return ["invoice.credited"] if status == S.CREDITED else ["invoice.updated"]
    if event.type == "refund.succeeded" and now.refunded:
        return ["invoice.refunded" if order.refund_status == "refunded" else "invoice.partially_refunded"]
    if event.type == "refund.failed" and event.data.get("was_done"):
        return ["invoice.updated"]
    if status == S.PAID and invoice.status != S.PAID:
        return ["invoice.paid"]
    if status == S.PARTIALLY_PAID and event.type in ("payment.settled", "invoice.manual_payment_recorded"):
        return ["invoice.partially_paid"]
    return []
