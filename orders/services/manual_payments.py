"""Money that came in outside any processor: recorded by people, and taken back by them when it did not."""

from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.money import Money
from orders import collecting, ledger
from orders.models import ManualPayment, Order
from orders.services.discounts import redeem_discounts
from orders.services.editing import refuse_closed


class AmountExceedsBalance(InvalidInput):
    code = "AMOUNT_EXCEEDS_BALANCE"
    message = "The amount is more than what is outstanding."


class ManualPaymentCurrencyMismatch(InvalidInput):
    code = "CURRENCY_MISMATCH"
    message = "The amount is in another currency than the order."


class ReversalExceedsManualPayments(InvalidInput):
    code = "REVERSAL_EXCEEDS_MANUAL_PAYMENTS"
    message = "The amount is more than what was recorded by hand and not taken back."


class OrderNothingOutstanding(Conflict):
    code = "ORDER_ALREADY_PAID"
    message = "Nothing is outstanding on the order."


def record_manual_payment(
    *, order_id: str, money: Money, actor: Actor, at: datetime | None = None, **details: Any
) -> ManualPayment:
    """
    Record that money of an open order came in by another way; ``details`` as for :func:`record_locked`.

    :raises OrderNotFound, OrderClosed: by the order. :raises OrderPaymentAttemptActive: if a payment is in progress.
    :raises OrderCollectionAlreadyActive: if an invoice collects the order: it is recorded on that.
    :raises OrderNothingOutstanding, AmountExceedsBalance, ManualPaymentCurrencyMismatch: by the amount.
    """
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        refuse_closed(order)
        collecting.refuse_beside_invoice(order)
        payment = record_locked(order, money, actor=actor, at=at or timezone.now(), **details)
        order.save()
    return payment


def reverse_manual_payment(
    *, order_id: str, money: Money, actor: Actor, at: datetime | None = None, **details: Any
) -> ManualPayment:
    """
    Take back what was recorded by hand on an order: it did not come in after all.

    :raises OrderNotFound, OrderClosed: by the order. :raises OrderPaymentAttemptActive: if a payment is in progress.
    :raises OrderCollectionAlreadyActive: if an invoice collects the order: it is reversed on that.
    :raises ReversalExceedsManualPayments, ManualPaymentCurrencyMismatch: by the amount.
    """
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        refuse_closed(order)
        collecting.refuse_beside_invoice(order)
        payment = reverse_locked(order, money, actor=actor, at=at or timezone.now(), **details)
        order.save()
    return payment


def record_locked(
    order: Order,
    money: Money,
    *,
    most: int | None = None,
    type: str = "order.manual_payment_recorded",
    subject: models.Model | None = None,
    actor: Actor,
    at: datetime,
    **details: Any,
) -> ManualPayment:
    """
    Record money on a locked order; the caller saves it.

    :param most: what may be recorded at most, in minor units, where that is less than what is outstanding.
    :param type: the event that tells of it, about ``subject`` where that is not the order.
    :param details: columns of the row: ``received_at``, ``note``, ``external_reference_id``, ``invoice_id``.
    :raises OrderPaymentAttemptActive: if a payment is in progress, which may bring the same money.
    :raises OrderNothingOutstanding, AmountExceedsBalance, ManualPaymentCurrencyMismatch: by the amount.
    """
    _refuse_foreign(order, money)
    collecting.refuse_while_collecting(order)
    owed = order.outstanding_amount if most is None else min(most, order.outstanding_amount)
    if not owed:
        raise OrderNothingOutstanding()
    if money.amount > owed:
        raise AmountExceedsBalance(param="amount_money", maximum_money=order.money(owed))
    payment = _row(order, money, at=at, **details)
    order.settle(money)
    redeem_discounts(order)
    _tell(order, payment, "manual_payment", type, subject, actor)
    if not order.outstanding_amount:
        collecting.tell_changed(order, actor)
    return payment


def reverse_locked(
    order: Order,
    money: Money,
    *,
    type: str = "order.manual_payment_reversed",
    subject: models.Model | None = None,
    actor: Actor,
    at: datetime,
    **details: Any,
) -> ManualPayment:
    """
    Take back money that was recorded on a locked order; the caller saves it. Otherwise as :func:`record_locked`.

    :raises ReversalExceedsManualPayments: if less was recorded, on the invoice if one is named.
    """
    _refuse_foreign(order, money)
    collecting.refuse_while_collecting(order)
    # What was recorded on an invoice may have been taken back on its order, which counts all of both.
    recorded = recorded_amount(order)
    if (invoice_id := details.get("invoice_id")) is not None:
        recorded = min(recorded, recorded_amount(order, invoice_id=invoice_id))
    if money.amount > recorded:
        raise ReversalExceedsManualPayments(param="amount_money", maximum_money=order.money(recorded))
    payment = _row(order, money, at=at, is_reversal=True, **details)
    order.unsettle(money)
    _tell(order, payment, "manual_payment_reversed", type, subject, actor)
    return payment


def recorded_amount(order: Order, *, invoice_id: str | None = None) -> int:
    """Return what stands recorded by hand on an order, or on one of its invoices, in minor units."""
    rows = ManualPayment.objects.filter(order_id=order.id)
    if invoice_id is not None:
        rows = rows.filter(invoice_id=invoice_id)
    sums = rows.aggregate(
        recorded=Sum("amount", filter=Q(is_reversal=False)), reversed=Sum("amount", filter=Q(is_reversal=True))
    )
    return (sums["recorded"] or 0) - (sums["reversed"] or 0)


def _refuse_foreign(order: Order, money: Money) -> None:
    if money.currency != order.currency:
        raise ManualPaymentCurrencyMismatch(param="amount_money.currency")


def _row(order: Order, money: Money, *, at: datetime, received_at: datetime | None = None, **columns: Any):
    return ManualPayment.objects.create(
        environment_id=order.environment_id, order=order, amount=money.amount, received_at=received_at or at, **columns
    )


def _tell(
    order: Order, payment: ManualPayment, kind: str, type: str, subject: models.Model | None, actor: Actor
) -> None:
    order.order_revision += 1
    event = events.record(
        order,
        type,
        subject=subject or order,
        actor=actor,
        amount=payment.amount,
        manual_payment_id=payment.id,
        received_at=payment.received_at.isoformat(),
        payment_status=order.payment_status,
    )
    ledger.post(order, event, [ledger.Posting(kind, payment.amount, payment.id)])
