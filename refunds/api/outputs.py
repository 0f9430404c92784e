"""What the refund operations show, and what an order shows of its refunds."""

from collections import defaultdict
from typing import Any

from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MoneyField,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output
from flint.money import Money
from orders.api.serializers import extend_order
from refunds.models import BalanceEffect, Reason, Refund, RefundAllocation, RefundLeg, RefundOrigin, RefundStatus


class PaymentRefundOutput(Output):
    """What goes back through one payment."""

    payment_intent_id = IdField("pi")
    amount_money = MoneyField()
    refunded_tip_money = MoneyField()
    status = EnumField(RefundStatus.values)
    failure_reason = StrictString(required=False)


class RefundTenderOutput(PaymentRefundOutput):
    """What goes back through one tender."""

    refund_allocation_id = IdField("rfl")
    tender_type = EnumField(["payment_intent"])


class AutomaticRefundOutput(Output):
    """What the amount is made of: price, discount and tax."""

    subtotal_money = MoneyField()
    discount_money = MoneyField()
    tax_money = MoneyField()
    total_money = MoneyField()


class RefundLineItemOutput(Output):
    """How much of a line goes back. ``quantity`` counts whole units."""

    order_line_item_id = IdField("oli")
    quantity = StrictInteger()
    refunded_money = MoneyField()
    tax_refund_mode = EnumField(["automatic"])
    automatic_refund = AutomaticRefundOutput()


class RefundChargeOutput(Output):
    """How much of a charge goes back. An addition of Flint's."""

    order_charge_id = IdField("och")
    refunded_money = MoneyField()
    tax_money = MoneyField()


class TaxBreakdownRefundOutput(Output):
    """How much of a flat tax goes back."""

    tax_breakdown_id = IdField("txb")
    tax_money = MoneyField()


class RefundOutput(Output):
    """
    Money promised or given back on an order. A payment that was made without an order shows none here.

    ``origin`` is ``processor`` for one that was not asked for here but made at the processor. An addition of Flint's.
    """

    refund_id = IdField("ref")
    status = EnumField(RefundStatus.values)
    amount_money = MoneyField()
    refunded_tip_money = MoneyField()
    balance_effect = EnumField(BalanceEffect.values)
    origin = EnumField(RefundOrigin.values, required=False)
    merchant_id = IdField("mer")
    order_id = IdField("ord", required=False)
    customer_id = IdField("cus", required=False)
    payment_intent_id = IdField("pi", required=False)
    payment_refunds = ListOf(PaymentRefundOutput())
    tender_allocations = ListOf(RefundTenderOutput())
    line_item_allocations = ListOf(RefundLineItemOutput())
    charge_allocations = ListOf(RefundChargeOutput())
    tax_breakdown_refunds = ListOf(TaxBreakdownRefundOutput())
    reason = EnumField(Reason.values, required=False)
    reason_message = StrictString(required=False)
    refund_method = EnumField(["original_payment"])
    failure_reason = StrictString(required=False)
    idempotency_key = StrictString(required=False)
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField()
    created_at = TimestampField()
    updated_at = TimestampField()

    def to_representation(self, instance: Refund) -> dict[str, Any]:
        return super().to_representation(_refund(instance))


def _refund(refund: Refund) -> dict[str, Any]:
    legs: list[RefundLeg] = refund.shown_legs
    is_itemized = not refund.order.is_hidden
    rows = [row for leg in legs for row in leg.shown_allocations if is_itemized and not leg.is_correction]

    def money(amount: int) -> Money:
        return Money(amount, refund.currency)

    return {
        "refund_id": refund.id,
        "status": refund.status,
        "amount_money": refund.money,
        "refunded_tip_money": money(refund.tip_amount),
        "balance_effect": refund.balance_effect,
        "origin": refund.origin,
        "merchant_id": refund.environment.merchant_id,
        "order_id": refund.order_id if is_itemized else None,
        "customer_id": refund.order.customer_id,
        "payment_intent_id": legs[0].payment_intent_id if len(legs) == 1 else None,
        "payment_refunds": [_tender(leg, money) for leg in legs],
        "tender_allocations": [
            {"refund_allocation_id": leg.id, "tender_type": "payment_intent", **_tender(leg, money)} for leg in legs
        ],
        "line_item_allocations": _by_part(rows, "line_item_id", lambda found: _line(found, money)),
        "charge_allocations": _by_part(rows, "charge_id", lambda found: _charge(found, money)),
        "tax_breakdown_refunds": _by_part(rows, "tax_breakdown_id", lambda found: _flat_tax(found, money)),
        "reason": refund.reason or None,
        "reason_message": refund.reason_message or None,
        "refund_method": "original_payment",
        "failure_reason": refund.failure_reason or None,
        "idempotency_key": refund.command_key or None,
        "external_reference_id": refund.external_reference_id or None,
        "metadata": refund.metadata,
        "created_at": refund.created_at,
        "updated_at": refund.updated_at,
    }


def _by_part(rows: list[RefundAllocation], column: str, show) -> list[dict[str, Any]]:
    """Put together what several tenders give back of one part."""
    found: dict[str, list[RefundAllocation]] = defaultdict(list)
    for row in rows:
        if part_id := getattr(row, column):
            found[part_id].append(row)
    return [show(of_part) for of_part in found.values()]


def _tender(leg: RefundLeg, money) -> dict[str, Any]:
    return {
        "payment_intent_id": leg.payment_intent_id,
        "amount_money": leg.money,
        "refunded_tip_money": money(leg.tip_amount),
        "status": leg.status,
        "failure_reason": leg.failure_reason or None,
    }


def _line(rows: list[RefundAllocation], money) -> dict[str, Any]:
    total = sum(row.amount for row in rows)
    return {
        "order_line_item_id": rows[0].line_item_id,
        "quantity": sum(row.quantity for row in rows),
        "refunded_money": money(total),
        "tax_refund_mode": "automatic",
        "automatic_refund": {
            "subtotal_money": money(sum(row.subtotal_amount for row in rows)),
            "discount_money": money(sum(row.discount_amount for row in rows)),
            "tax_money": money(sum(row.tax_amount + row.inclusive_tax_amount for row in rows)),
            "total_money": money(total),
        },
    }


def _charge(rows: list[RefundAllocation], money) -> dict[str, Any]:
    return {
        "order_charge_id": rows[0].charge_id,
        "refunded_money": money(sum(row.amount for row in rows)),
        "tax_money": money(sum(row.tax_amount + row.inclusive_tax_amount for row in rows)),
    }


def _flat_tax(rows: list[RefundAllocation], money) -> dict[str, Any]:
    return {"tax_breakdown_id": rows[0].tax_breakdown_id, "tax_money": money(sum(row.amount for row in rows))}


extend_order(refund_ids=ListOf(IdField("ref"), required=False))
