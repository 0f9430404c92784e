"""
What an invoice stands at. Nothing of it is stored: its order has one balance, and the invoice reads its part of it.

An order has one invoice as a rule. When more was sold after that one was paid, a second one bills what came on top;
what the order had come to by then (its ``base_*`` amounts) stays with the first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import F, Sum

from invoices.models import Invoice, InvoiceLateFee
from invoices.models.invoices import STANDING, S
from orders.models import Order


@dataclass(frozen=True, slots=True)
class InvoiceAmounts:
    """
    Minor units of the invoice's currency. ``total`` is the document's, ``late_fee`` what came on top and stands.

    ``outstanding`` is what it still asks for; zero unless it is the one that asks.
    """

    total: int
    late_fee: int
    paid: int
    credit: int
    refunded: int
    charged_back: int
    written_off: int
    outstanding: int

    @property
    def net_paid(self) -> int:
        """Paid and kept."""
        return self.paid - self.refunded - self.charged_back


def billed_amount(order_id: str) -> int:
    """Return what the standing invoices of an order bill, late fees included, in minor units."""
    return sum(
        invoice.total_amount + late_fee_amount(invoice)
        for invoice in Invoice.objects.filter(order_id=order_id, status__in=STANDING).order_by("sequence")
    )


def late_fee_amount(invoice: Invoice) -> int:
    """Return the late fees of an invoice as far as they were not waived."""
    if invoice.issued_at is None:
        return 0
    prefetched = getattr(invoice, "_prefetched_objects_cache", {}).get("late_fees")
    if prefetched is not None:
        return sum(fee.amount - fee.waived_amount for fee in prefetched)
    found = InvoiceLateFee.objects.filter(invoice_id=invoice.pk).aggregate(sum=Sum(F("amount") - F("waived_amount")))
    return found["sum"] or 0


def amounts_of(invoice: Invoice, order: Order, siblings: Sequence[Invoice] | None = None) -> InvoiceAmounts:
    """
    Return what an invoice stands at, by its order as it is in memory.

    :param siblings: all invoices of the order, if they are at hand; read otherwise, but only where there are several.
    """
    if invoice.status == S.DRAFT:
        return InvoiceAmounts(_unbilled(order, siblings), 0, 0, 0, 0, 0, 0, order.outstanding_amount)
    fee = late_fee_amount(invoice)
    if invoice.status == S.VOID:
        return InvoiceAmounts(invoice.total_amount, fee, 0, 0, 0, 0, 0, 0)
    is_last = order.invoice_id == invoice.id
    standing = _standing(invoice, order, siblings)
    end = order if is_last else _after(invoice, standing)
    prefix = "" if is_last else "base_"

    def came(name: str) -> int:
        return getattr(end, f"{prefix}{name}_amount") - getattr(invoice, f"base_{name}_amount")

    written_off = invoice.written_off_amount
    outstanding = 0
    if is_last and invoice.status != S.UNCOLLECTIBLE:
        billed = sum(each.total_amount + late_fee_amount(each) for each in standing)
        outstanding = max(order.outstanding_amount - (order.total_amount - billed), 0)
    return InvoiceAmounts(
        total=invoice.total_amount,
        late_fee=fee,
        paid=came("paid"),
        credit=max(came("credit") - written_off, 0),
        refunded=came("refunded"),
        charged_back=came("charged_back"),
        written_off=written_off,
        outstanding=outstanding,
    )


def status_of(amounts: InvoiceAmounts, *, by_credit: bool) -> str:
    """Return the status that amounts give an issued invoice; ``by_credit``: a credit note was what closed it."""
    if amounts.outstanding:
        return S.PARTIALLY_PAID if amounts.net_paid > 0 else S.OPEN
    return S.CREDITED if by_credit else S.PAID


def _unbilled(order: Order, siblings: Iterable[Invoice] | None) -> int:
    """Return what a draft would bill: the order's total less what standing invoices bill."""
    if not order.invoice_id:
        return order.total_amount
    if siblings is None:
        siblings = Invoice.objects.filter(order_id=order.id)
    earlier = (each for each in siblings if each.status in STANDING)
    return order.total_amount - sum(each.total_amount + late_fee_amount(each) for each in earlier)


def _standing(invoice: Invoice, order: Order, siblings: Iterable[Invoice] | None) -> list[Invoice]:
    if siblings is None:
        if order.invoice_id == invoice.id and not _has_earlier(invoice):
            return [invoice]
        siblings = Invoice.objects.filter(order_id=order.id)
    standing = [invoice if each.pk == invoice.pk else each for each in siblings if each.status in STANDING]
    return sorted(standing, key=lambda each: each.sequence)


def _has_earlier(invoice: Invoice) -> bool:
    """Whether another invoice billed a part of the order before; a first one has nothing to leave to others."""
    earlier = Invoice.objects.filter(order_id=invoice.order_id, status__in=STANDING, sequence__lt=invoice.sequence)
    return earlier.exists()


def _after(invoice: Invoice, standing: Sequence[Invoice]) -> Invoice:
    return next(each for each in standing if each.sequence > invoice.sequence)
