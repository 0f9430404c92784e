"""Moving the columns that a refund touches, on the order, its parts and its payments, all in one direction."""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Case, F, Value, When
from django.utils import timezone

from orders.models import Charge, LineItem, Order, TaxBreakdown
from payments.models import PaymentIntent
from refunds.models import R, RefundAdjustment, RefundAllocation, RefundLeg
from refunds.services.composing import Composition


def reserve(order: Order, composition: Composition) -> None:
    """Save a composed refund's legs and allocations, and reserve their money on everything they touch."""
    RefundLeg.objects.bulk_create(composition.legs)
    if composition.adjustments:
        RefundAdjustment.objects.bulk_create(composition.adjustments)
    RefundAllocation.objects.bulk_create(composition.allocations)
    for leg in composition.legs:
        _move_payment(leg, pending=leg.amount)
        order.promise_back(leg.money, tip_amount=leg.tip_amount)
    _move_parts(composition.allocations, pending=1)


def release(order: Order, leg: RefundLeg) -> None:
    """Free what a leg had reserved; nothing went back."""
    _move_payment(leg, pending=-leg.amount)
    order.release_promise(leg.money, tip_amount=leg.tip_amount)
    _move_parts(_counting(leg), pending=-1)


def give_back(order: Order, leg: RefundLeg) -> None:
    """Count a leg's money as gone back, out of what it had reserved."""
    _move_payment(leg, pending=-leg.amount, refunded=leg.amount)
    order.release_promise(leg.money, tip_amount=leg.tip_amount)
    order.give_back(leg.money, credit=order.money(leg.credit_amount), tip_amount=leg.tip_amount)
    _move_parts(_counting(leg), pending=-1, refunded=1)


def take_back(order: Order, leg: RefundLeg) -> None:
    """Undo :func:`give_back` of a leg that failed after it had succeeded."""
    _move_payment(leg, refunded=-leg.amount)
    order.take_back(leg.money, credit=order.money(leg.credit_amount), tip_amount=leg.tip_amount)
    _move_parts(_counting(leg), refunded=-1)


def correct(order: Order, leg: RefundLeg) -> None:
    """Have a leg give back no part of the order: what it credited, and its tip, is owed again. Saves nothing of it."""
    if leg.status == R.SUCCEEDED:
        _move_parts(_counting(leg), refunded=-1)
        order.tip_refunded_amount -= leg.tip_amount
        order.credit(-order.money(leg.credit_amount))
    elif leg.is_unsettled:
        _move_parts(_counting(leg), pending=-1)
        order.tip_refund_pending_amount -= leg.tip_amount
    leg.is_correction, leg.credit_amount, leg.tip_amount = True, 0, 0


def _counting(leg: RefundLeg) -> list[RefundAllocation]:
    return [] if leg.is_correction else list(leg.allocations.all())


def _move_payment(leg: RefundLeg, *, pending: int = 0, refunded: int = 0) -> None:
    PaymentIntent.objects.filter(id=leg.payment_intent_id).update(
        refund_pending_amount=F("refund_pending_amount") + pending,
        refunded_amount=F("refunded_amount") + refunded,
        updated_at=timezone.now(),
    )


def _move_parts(allocations: Iterable[RefundAllocation], *, pending: int = 0, refunded: int = 0) -> None:
    """
    Move each allocation's amount and units; ``pending`` and ``refunded`` are -1, 0 or 1.

    One statement for all lines, one for all charges, one for all flat taxes.
    """
    rows = list(allocations)
    for model, column in ((LineItem, "line_item_id"), (Charge, "charge_id"), (TaxBreakdown, "tax_breakdown_id")):
        amounts: dict[str, int] = defaultdict(int)
        units: dict[str, int] = defaultdict(int)
        for row in rows:
            if part_id := getattr(row, column):
                amounts[part_id] += row.amount
                units[part_id] += row.quantity
        if not amounts:
            continue
        columns = {
            "refund_pending_amount": F("refund_pending_amount") + pending * _each(amounts),
            "refunded_amount": F("refunded_amount") + refunded * _each(amounts),
            "updated_at": timezone.now(),
        }
        if model is LineItem:
            columns |= {
                "refund_pending_quantity": F("refund_pending_quantity") + pending * _each(units),
                "refunded_quantity": F("refunded_quantity") + refunded * _each(units),
                "version": F("version") + 1,
            }
        model.objects.filter(id__in=amounts).update(**columns)


def _each(amounts: dict[str, int]) -> Case:
    """Return, in SQL, the number that belongs to a row's id."""
    return Case(*[When(id=part_id, then=Value(amount)) for part_id, amount in amounts.items()])
