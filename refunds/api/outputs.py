"""What the refund operations show, and what an order shows of its refunds."""

from collections import defaultdict
from collections.abc import Callable, Collection
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
from orders.api.serializers import CustomerSummaryOutput, extend_order
from payments.api.outputs import OrderSummaryOutput, PaymentIntentSummaryOutput
from refunds.models import (
    UNSETTLED,
    AdjustmentReason,
    AdjustmentType,
    AppliesTo,
    BalanceEffect,
    R,
    Reason,
    Refund,
    RefundAdjustment,
    RefundAllocation,
    RefundLeg,
    RefundOrigin,
    RefundStatus,
    TaxReason,
)

PAYMENT = "payments.payment_intents.read"
OF_EACH_PAYMENT = "payment_refunds.payment_intent"
EXPANDED = {
    "customer": "customers.read",
    "order": "commerce.orders.read",
    "payment_intent": PAYMENT,
    OF_EACH_PAYMENT: PAYMENT,
}
"""What a refund can be expanded by, and the scope that each of it needs as well."""


class RefundTenderOutput(Output):
    """What goes back through one tender."""

    refund_allocation_id = IdField("rfl")
    tender_type = EnumField(["payment_intent"])
    payment_intent_id = IdField("pi")
    amount_money = MoneyField()
    refunded_tip_money = MoneyField()
    status = EnumField(RefundStatus.values)
    failure_reason = StrictString(required=False)


class PaymentRefundOutput(Output):
    """What goes back through one payment."""

    payment_intent_id = IdField("pi")
    amount_money = MoneyField()
    refunded_tip_money = MoneyField()
    status = EnumField(RefundStatus.values)
    failure_reason = StrictString(required=False)
    payment_intent = PaymentIntentSummaryOutput(required=False)


class AutomaticRefundOutput(Output):
    """What the amount is made of: price, discount and tax."""

    subtotal_money = MoneyField()
    discount_money = MoneyField()
    tax_money = MoneyField()
    total_money = MoneyField()


class AdjustmentReasonOutput(Output):
    """Why it was withheld."""

    code = EnumField(sorted({*AdjustmentReason.values, *TaxReason.values}))
    description = StrictString(required=False)


class RefundAdjustmentOutput(Output):
    """What was withheld of a line, and how much of that went back later."""

    refund_line_item_adjustment_id = IdField("rad")
    adjustment_type = EnumField(AdjustmentType.values)
    applies_to = EnumField(AppliesTo.values)
    amount_money = MoneyField()
    reason = AdjustmentReasonOutput()
    refunded_money = MoneyField()
    remaining_money = MoneyField()


class AdjustmentRefundOutput(Output):
    """What goes back of an earlier refund's adjustment."""

    refund_line_item_adjustment_refund_id = IdField("rfa")
    original_refund_line_item_adjustment_id = IdField("rad")
    amount_money = MoneyField()


class TaxBreakdownRefundOutput(Output):
    """How much of a tax goes back."""

    tax_breakdown_id = IdField("txb")
    tax_money = MoneyField()


class RefundLineItemOutput(Output):
    """
    How much of a line goes back. ``quantity`` counts whole units.

    `refunded_money` is what would go back by itself, less `adjustments`, plus `adjustment_refunds`. Tax that was stated
    shows as an adjustment too.
    """

    order_line_item_id = IdField("oli")
    quantity = StrictInteger()
    refunded_money = MoneyField()
    tax_refund_mode = EnumField(["automatic", "explicit"])
    automatic_refund = AutomaticRefundOutput()
    adjustments = ListOf(RefundAdjustmentOutput(), required=False)
    adjustment_refunds = ListOf(AdjustmentRefundOutput(), required=False)
    tax_breakdown_refunds = ListOf(TaxBreakdownRefundOutput(), required=False)


class RefundChargeOutput(Output):
    """How much of a charge goes back. An addition of Flint's."""

    order_charge_id = IdField("och")
    refunded_money = MoneyField()
    tax_money = MoneyField()


class RefundOutput(Output):
    """
    Money promised or given back on an order. A payment that was made without an order shows none here.

    ``origin`` is ``processor`` for one that was not asked for here but made at the processor, and ``surplus`` for one
    that the merchant's policy made of money beyond what was owed. An addition of Flint's.
    """

    expandable = {"customer", "order", "payment_intent"}

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
    invoice_id = IdField("inv", required=False)
    credit_note_id = IdField("cn", required=False)
    reason = EnumField(Reason.values, required=False)
    reason_message = StrictString(required=False)
    refund_method = EnumField(["original_payment"])
    failure_reason = StrictString(required=False)
    idempotency_key = StrictString(required=False)
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField()
    created_at = TimestampField()
    updated_at = TimestampField()
    customer = CustomerSummaryOutput(required=False, allow_null=True)
    order = OrderSummaryOutput(required=False, allow_null=True)
    payment_intent = PaymentIntentSummaryOutput(required=False, allow_null=True)

    def to_representation(self, instance: Refund) -> dict[str, Any]:
        return super().to_representation(_refund(instance, self.context.get("expand", ())))


def _refund(refund: Refund, expand: Collection[str]) -> dict[str, Any]:
    legs: list[RefundLeg] = refund.shown_legs
    is_itemized = not refund.order.is_hidden
    rows = [row for leg in legs for row in leg.shown_allocations if is_itemized and not leg.is_correction]
    withheld = [row for leg in legs for row in leg.shown_adjustments]

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
        "payment_refunds": [
            {**_tender(leg, money), "payment_intent": leg.payment_intent if OF_EACH_PAYMENT in expand else None}
            for leg in legs
        ],
        "tender_allocations": [
            {"refund_allocation_id": leg.id, "tender_type": "payment_intent", **_tender(leg, money)} for leg in legs
        ],
        "line_item_allocations": _by_part(rows, "line_item_id", lambda found: _line(found, withheld, money)),
        "charge_allocations": _by_part(rows, "charge_id", lambda found: _charge(found, money)),
        "tax_breakdown_refunds": _by_part(rows, "tax_breakdown_id", lambda found: _flat_tax(found, money)),
        "invoice_id": refund.credit_note.invoice_id if refund.credit_note else refund.order.invoice_id or None,
        "credit_note_id": refund.credit_note_id,
        "reason": refund.reason or None,
        "reason_message": refund.reason_message or None,
        "refund_method": "original_payment",
        "failure_reason": refund.failure_reason or None,
        "idempotency_key": refund.command_key or None,
        "external_reference_id": refund.external_reference_id or None,
        "metadata": refund.metadata,
        "created_at": refund.created_at,
        "updated_at": refund.updated_at,
        "customer": refund.order.customer,
        "order": refund.order if is_itemized else None,
        "payment_intent": legs[0].payment_intent if len(legs) == 1 and "payment_intent" in expand else None,
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


def _line(
    rows: list[RefundAllocation], withheld: list[RefundAdjustment], money: Callable[[int], Money]
) -> dict[str, Any]:
    line_id = rows[0].line_item_id
    adjustments = [each for each in withheld if each.line_item_id == line_id]
    # What would have gone back by itself: what did, but for what earlier refunds withheld, and what was withheld now.
    by_itself = [*(row for row in rows if not row.adjustment_id), *adjustments]
    stated = next((each for each in adjustments if each.type == AdjustmentType.TAX_ADJUSTMENT), None)
    split = [
        {"tax_breakdown_id": each["tax_breakdown_id"], "tax_money": money(each["amount"])}
        for each in (stated.tax_split if stated else [])
    ]
    payouts = [
        {
            "refund_line_item_adjustment_refund_id": row.id,
            "original_refund_line_item_adjustment_id": row.adjustment_id,
            "amount_money": money(row.amount),
        }
        for row in rows
        if row.adjustment_id
    ]
    return {
        "order_line_item_id": line_id,
        "quantity": sum(row.quantity for row in rows),
        "refunded_money": money(sum(row.amount for row in rows)),
        "tax_refund_mode": "explicit" if stated else "automatic",
        "automatic_refund": {
            "subtotal_money": money(sum(row.subtotal_amount for row in by_itself)),
            "discount_money": money(sum(row.discount_amount for row in by_itself)),
            "tax_money": money(sum(row.tax_amount + row.inclusive_tax_amount for row in by_itself)),
            "total_money": money(sum(row.amount for row in by_itself)),
        },
        "adjustments": [_adjustment(each, money) for each in adjustments] or None,
        "adjustment_refunds": payouts or None,
        "tax_breakdown_refunds": split or None,
    }


def _adjustment(row: RefundAdjustment, money: Callable[[int], Money]) -> dict[str, Any]:
    counting = [each for each in row.shown_payouts if not each.leg.is_correction]
    refunded = sum(each.amount for each in counting if each.leg.status == R.SUCCEEDED)
    promised = sum(each.amount for each in counting if each.leg.status in UNSETTLED)
    return {
        "refund_line_item_adjustment_id": row.id,
        "adjustment_type": row.type,
        "applies_to": row.applies_to,
        "amount_money": row.money,
        "reason": {"code": row.reason_code, "description": row.reason_description or None},
        "refunded_money": money(refunded),
        "remaining_money": money(row.amount - refunded - promised),
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
