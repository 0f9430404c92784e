"""What the refund operations take."""

from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MoneyField,
    StrictInteger,
    StrictString,
)
from flint.api.serializers import Input
from refunds.models import BalanceEffect, Reason

MAX_QUANTITY = 1_000_000_000


class RefundLineItemInput(Input):
    """A line to give back: so many units, or an amount, or all that is left of it."""

    reserved = {
        "tax_refund_mode",
        "tax_money",
        "tax_breakdown_refunds",
        "tax_adjustment_reason",
        "tax_adjustment_audit",
        "refund_adjustments",
        "adjustment_refunds",
    }

    order_line_item_id = IdField("oli", code_required="ORDER_LINE_ITEM_ID_REQUIRED")
    quantity = StrictInteger(minimum=1, maximum=MAX_QUANTITY, required=False, code="INVALID_LINE_ITEM_REFUND_QUANTITY")
    amount_money = MoneyField(min_amount=1, required=False, code_below="INVALID_LINE_ITEM_REFUND_AMOUNT")


class RefundChargeInput(Input):
    """A charge to give back: an amount, or all that is left of it."""

    order_charge_id = IdField("och", code_required="ORDER_CHARGE_ID_REQUIRED")
    amount_money = MoneyField(min_amount=1, required=False, code_below="INVALID_CHARGE_REFUND_AMOUNT")


class CreateRefundInput(Input):
    """
    What to give back of an order, or of one of its payments.

    Neither amount nor targets gives back all that is left. `balance_effect` is an addition of Flint's: `credit`
    (default) for goods that come back, `reopen` for a correction after which the buyer still owes.
    """

    reserved = {"tax_breakdown_refunds", "tender_allocations", "gift_card_load_id"}

    order_id = IdField("ord", required=False)
    payment_intent_id = IdField("pi", required=False)
    amount_money = MoneyField(min_amount=1, required=False, code_below="AMOUNT_TOO_SMALL")
    line_items = ListOf(RefundLineItemInput(), min_length=1, max_length=1000, required=False)
    charges = ListOf(RefundChargeInput(), min_length=1, max_length=1000, required=False)
    balance_effect = EnumField(BalanceEffect.values, required=False, code="INVALID_BALANCE_EFFECT")
    reason = EnumField(Reason.values, required=False, code="INVALID_REFUND_REASON")
    reason_message = StrictString(max_length=500, required=False)
    refund_method = EnumField(["original_payment"], required=False, code="INVALID_REFUND_METHOD")
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField(required=False)

    def validate(self, attrs):
        if "order_id" not in attrs and "payment_intent_id" not in attrs:
            self.refuse("MISSING_REQUIRED_FIELD", "Send the order or the payment intent to refund.", "order_id")
        targets = [name for name in ("line_items", "charges") if name in attrs]
        if targets and attrs.get("balance_effect") == "reopen":
            self.refuse(
                "INVALID_BALANCE_EFFECT",
                "A payment correction takes back no part of the sale. Leave the targets out.",
                "balance_effect",
            )
        return attrs
