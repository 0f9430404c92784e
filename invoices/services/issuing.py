"""Issuing: a draft gets its number, is frozen, and asks for what its order owes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import InvalidInput
from flint.messages.muting import is_muted
from flint.messages.outbox import language_of_order
from invoices.amounts import InvoiceAmounts, status_of
from invoices.links import link_of, new_link
from invoices.models import Invoice, InvoiceDelivery, InvoiceScheduleEntry
from invoices.models.invoices import STANDING, DeliveryMode
from invoices.models.numbers import Series
from invoices.numbering import next_number
from invoices.services import choosing, delivering
from invoices.services.drafting import refuse_asked, refuse_billed_before, refuse_nothing_owed, to_bill
from invoices.services.locking import lock_invoice, remember
from invoices.snapshots import freeze
from orders import collecting
from orders.contacts import address_on_file
from orders.models import Order

MESSAGE_KIND = "invoice"


class RecipientEmailRequired(InvalidInput):
    code = "RECIPIENT_EMAIL_REQUIRED"
    message = "Nobody is known to send the invoice to. Set recipient_email, or deliver it yourself (caller_managed)."


@dataclass(frozen=True, slots=True)
class Issued:
    """An invoice just issued, the link for its buyer, and its email if one is sent."""

    invoice: Invoice
    public_url: str
    delivery: InvoiceDelivery | None


def issue_invoice(
    *,
    invoice_id: str,
    delivery_mode: str | None = None,
    expected_version: int | None = None,
    actor: Actor,
    at: datetime | None = None,
) -> Issued:
    """
    Issue a draft: it gets the next number, is frozen as it is, and alone collects its order from now on.

    :param delivery_mode: ``email`` or ``caller_managed``; ``merchant_default`` or nothing is what the merchant does.
    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceNotDraft: if it was issued already.
    :raises InvoiceDraftChanged: if another version was expected.
    :raises OrderNotOpen, OrderAlreadyPaid, OrderNotPayable: by the order. :raises OrderAlreadyHasActiveInvoice: if an
        earlier one asks for money again. :raises OrderAlreadyBilled: if one that was written off bills what is owed.
    :raises OrderHasOpenCheckout, OrderHasActivePaymentIntent: if the order is being collected another way.
    :raises RecipientEmailRequired: if it is to be emailed and nobody is known to send it to.
    :raises InvoicePaymentTermUnavailable, InvoiceScheduleInvalid, InvoiceAutopayPaymentMethodRequired: by its choices.
    """
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor, expected_version=expected_version, expects_draft=True)
        return issue_locked(order, invoice, delivery_mode=delivery_mode, actor=actor, at=at or timezone.now())


def issue_locked(
    order: Order, invoice: Invoice, *, delivery_mode: str | None = None, actor: Actor, at: datetime
) -> Issued:
    """Issue a draft of a locked order; as :func:`issue_invoice`. Saves both."""
    refuse_nothing_owed(order)
    refuse_asked(order)
    collecting.refuse_blocked(order)
    collecting.refuse_while_collecting(order)
    collecting.refuse_to_bill(order)
    refuse_billed_before(order)
    settings = choosing.settings_of(order.environment_id)
    choosing.resolve(invoice, order, settings, issued_at=at)
    _address(invoice, order, delivery_mode)
    earlier = list(
        Invoice.objects.filter(order_id=order.id, status__in=STANDING)
        .order_by("sequence")
        .prefetch_related("late_fees")
    )
    _bill(order, invoice, is_first=not earlier)
    entries = list(InvoiceScheduleEntry.objects.filter(invoice_id=invoice.id).order_by("position"))
    choosing.plan(invoice, entries, invoice.total_amount, issued_at=at)
    for entry in entries:
        entry.save()
    invoice.terms_snapshot = _terms_of(invoice)
    invoice.language = invoice.language or language_of_order(order)
    new_link(invoice)
    invoice.document_link = link_of(invoice)
    invoice.issue(status=_first_status(order, invoice), at=at)
    invoice.snapshot = freeze(invoice, order, earlier=earlier, entries=entries)
    # Last of all that is read: every invoice of the environment comes by here, and waits until this one commits.
    invoice.sequence, invoice.number = next_number(
        order.environment_id, Series.INVOICE, prefix=settings["invoice_number_prefix"] or ""
    )
    invoice.snapshot["document"]["number"] = invoice.number
    order.bill(invoice.id, is_open=True)
    remember(
        order,
        invoice,
        "invoice.issued",
        actor=actor,
        number=invoice.number,
        total_amount=invoice.total_amount,
        outstanding_amount=order.outstanding_amount,
    )
    _start_clock(order, invoice, entries, at=at)
    delivery = _deliver(order, invoice, actor=actor, at=at)
    invoice.save()
    order.save()
    return Issued(invoice, link_of(invoice), delivery)


def _address(invoice: Invoice, order: Order, wanted: str | None) -> None:
    """Decide whether Flint sends the invoice, and to whom."""
    if wanted in (None, "merchant_default"):
        muted = is_muted(order.environment_id, MESSAGE_KIND)
        wanted = DeliveryMode.CALLER_MANAGED if muted else DeliveryMode.EMAIL
    invoice.delivery_mode = str(wanted)
    invoice.recipient_email = invoice.recipient_email or address_on_file(order)
    if invoice.delivery_mode == DeliveryMode.EMAIL and not invoice.recipient_email:
        raise RecipientEmailRequired(param="recipient_email")


def _bill(order: Order, invoice: Invoice, *, is_first: bool) -> None:
    """
    Fix what an invoice bills, and what of the order's amounts belongs to those before it.

    A first one takes the order as it is, with all that was ever paid on it. A later one takes what came on top: earlier
    ones are done with, so whatever is not outstanding of that was collected beyond them.
    """
    invoice.total_amount = to_bill(order)
    if is_first:
        invoice.paid_before_amount = order.paid_amount
        return
    invoice.paid_before_amount = invoice.total_amount - order.outstanding_amount
    invoice.base_paid_amount = order.paid_amount - invoice.paid_before_amount
    invoice.base_credit_amount = order.credit_amount
    invoice.base_refunded_amount = order.refunded_amount
    invoice.base_charged_back_amount = order.charged_back_amount


def _first_status(order: Order, invoice: Invoice) -> str:
    kept = (
        order.net_collected_amount
        - invoice.base_paid_amount
        + invoice.base_refunded_amount
        + invoice.base_charged_back_amount
    )
    amounts = InvoiceAmounts(
        total=invoice.total_amount,
        late_fee=0,
        paid=kept,
        credit=0,
        refunded=0,
        charged_back=0,
        written_off=0,
        outstanding=order.outstanding_amount,
    )
    return status_of(amounts, by_credit=False)


def _terms_of(invoice: Invoice) -> dict | None:
    term = invoice.payment_term
    if term is None:
        return None
    frozen = {
        "invoice_payment_term_id": term.id,
        "name": term.name,
        "revision": term.version,
        "calculation": term.calculation,
    }
    return {**frozen, "late_fee_policy": term.late_fee_policy} if term.late_fee_policy else frozen


def _start_clock(order: Order, invoice: Invoice, entries: Sequence[InvoiceScheduleEntry], *, at: datetime) -> None:
    """Say when the clock is next to look at the invoice: now, so that it works out the rest by itself."""
    invoice.next_action_at = at


def _deliver(order: Order, invoice: Invoice, *, actor: Actor, at: datetime) -> InvoiceDelivery | None:
    if invoice.delivery_mode != DeliveryMode.EMAIL:
        return None
    return delivering.send(order, invoice, fact="issued", type="send", actor=actor, at=at)
