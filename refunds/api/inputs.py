"""What the refund operations take."""

from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MetadataPatchField,
    MoneyField,
    StrictInteger,
    StrictString,
)
from flint.api.serializers import Input, Patch
from refunds.models import AdjustmentReason, AdjustmentType, AppliesTo, BalanceEffect, Reason, TaxReason

MAX_QUANTITY = 1_000_000_000
MAX_TENDERS = 21
MAX_DESCRIPTION = 500
TAX_REFUND_MODES = ("automatic", "explicit")
ACTOR_TYPES = ("user", "system", "admin")
EXPLICIT_ONLY = {
    "tax_money": "TAX_MONEY_REQUIRES_EXPLICIT_MODE",
    "tax_breakdown_refunds": "TAX_BREAKDOWN_REFUNDS_REQUIRE_EXPLICIT_MODE",
    "tax_adjustment_reason": "TAX_ADJUSTMENT_REASON_REQUIRES_EXPLICIT_MODE",
    "tax_adjustment_audit": "TAX_ADJUSTMENT_AUDIT_REQUIRES_EXPLICIT_MODE",
}
EXPLICIT_NEEDS = {
    "tax_money": "TAX_MONEY_REQUIRED",
    "tax_adjustment_reason": "TAX_ADJUSTMENT_REASON_REQUIRED",
    "tax_adjustment_audit": "TAX_ADJUSTMENT_AUDIT_REQUIRED",
}


def _description() -> StrictString:
    return StrictString(
        max_length=MAX_DESCRIPTION,
        required=False,
        code_too_long="REFUND_ADJUSTMENT_REASON_DESCRIPTION_TOO_LONG",
        code_blank="REFUND_ADJUSTMENT_REASON_DESCRIPTION_REQUIRED",
    )


class ReasonInput(Input):
    """Why something is withheld. `other` needs a description."""

    refusals = ("REFUND_ADJUSTMENT_REASON_DESCRIPTION_REQUIRED",)

    def validate(self, attrs):
        if attrs["code"] == "other" and not attrs.get("description"):
            self.refuse("REFUND_ADJUSTMENT_REASON_DESCRIPTION_REQUIRED", "Say what the reason is.", "description")
        return attrs


class RefundAdjustmentReasonInput(ReasonInput):
    """Why a part of a line's refund is withheld."""

    code = EnumField(
        AdjustmentReason.values,
        code="INVALID_REFUND_ADJUSTMENT_REASON_CODE",
        code_required="REFUND_ADJUSTMENT_REASON_REQUIRED",
    )
    description = _description()


class TaxAdjustmentReasonInput(ReasonInput):
    """Why another tax goes back than the refund would come to by itself."""

    code = EnumField(
        TaxReason.values, code="INVALID_TAX_ADJUSTMENT_REASON_CODE", code_required="TAX_ADJUSTMENT_REASON_REQUIRED"
    )
    description = _description()


class TaxAdjustmentAuditInput(Input):
    """Who answers for a tax that is stated, and where that was decided."""

    actor_type = EnumField(
        ACTOR_TYPES,
        code="INVALID_TAX_ADJUSTMENT_AUDIT_ACTOR_TYPE",
        code_required="INVALID_TAX_ADJUSTMENT_AUDIT_ACTOR_TYPE",
    )
    actor_id = StrictString(
        code_required="REFUND_ADJUSTMENT_AUDIT_ACTOR_ID_REQUIRED",
        code_too_long="REFUND_ADJUSTMENT_AUDIT_ACTOR_ID_TOO_LONG",
    )
    source = StrictString(
        code_required="REFUND_ADJUSTMENT_AUDIT_SOURCE_REQUIRED",
        code_too_long="REFUND_ADJUSTMENT_AUDIT_SOURCE_TOO_LONG",
    )


class RefundAdjustmentInput(Input):
    """So much of a line that does not go back: a restocking fee, or another deduction. It can be paid out later."""

    refusals = ("TAX_ADJUSTMENT_REQUIRES_EXPLICIT_MODE", "INVALID_REFUND_ADJUSTMENT_APPLIES_TO")

    adjustment_type = EnumField(
        AdjustmentType.values,
        code="INVALID_REFUND_ADJUSTMENT_TYPE",
        code_required="INVALID_REFUND_ADJUSTMENT_TYPE",
    )
    applies_to = EnumField(
        AppliesTo.values,
        code="INVALID_REFUND_ADJUSTMENT_APPLIES_TO",
        code_required="INVALID_REFUND_ADJUSTMENT_APPLIES_TO",
    )
    amount_money = MoneyField(
        min_amount=1,
        code_below="INVALID_REFUND_ADJUSTMENT_AMOUNT",
        code_required="REFUND_ADJUSTMENT_AMOUNT_MONEY_REQUIRED",
    )
    reason = RefundAdjustmentReasonInput(code_required="REFUND_ADJUSTMENT_REASON_REQUIRED")

    def validate(self, attrs):
        if attrs["adjustment_type"] == AdjustmentType.TAX_ADJUSTMENT:
            self.refuse(
                "TAX_ADJUSTMENT_REQUIRES_EXPLICIT_MODE",
                "State the tax that goes back: tax_refund_mode 'explicit' and tax_money.",
                "adjustment_type",
            )
        if attrs["applies_to"] == AppliesTo.TAX:
            self.refuse(
                "INVALID_REFUND_ADJUSTMENT_APPLIES_TO", "Only a tax_adjustment is of the tax alone.", "applies_to"
            )
        return attrs


class AdjustmentRefundInput(Input):
    """What an earlier refund withheld of the line and now goes back: an amount, or all that is left of it."""

    refund_line_item_adjustment_id = IdField("rad", code_required="REFUND_LINE_ITEM_ADJUSTMENT_ID_REQUIRED")
    amount_money = MoneyField(min_amount=1, required=False, code_below="INVALID_REFUND_ADJUSTMENT_REFUND_AMOUNT")


class LineTaxBreakdownRefundInput(Input):
    """The share of a stated tax that is one tax's of the line."""

    tax_breakdown_id = IdField("txb", code_required="TAX_BREAKDOWN_ID_REQUIRED")
    tax_money = MoneyField(
        min_amount=1,
        code_below="INVALID_TAX_BREAKDOWN_REFUND_AMOUNT",
        code_required="TAX_BREAKDOWN_REFUND_MONEY_REQUIRED",
    )


class RefundLineItemInput(Input):
    """
    A line to give back: so many units, or an amount, or all that is left of it.

    With `adjustment_refunds` alone, only what earlier refunds withheld goes back. With `tax_refund_mode` `explicit`,
    the tax that goes back is `tax_money`, which is less than would go back by itself.
    """

    refusals = (
        *EXPLICIT_ONLY.values(),
        *EXPLICIT_NEEDS.values(),
        "TAX_BREAKDOWN_REFUNDS_REQUIRED",
        "TAX_BREAKDOWN_REFUND_TOTAL_MISMATCH",
    )

    order_line_item_id = IdField("oli", code_required="ORDER_LINE_ITEM_ID_REQUIRED")
    quantity = StrictInteger(minimum=1, maximum=MAX_QUANTITY, required=False, code="INVALID_LINE_ITEM_REFUND_QUANTITY")
    amount_money = MoneyField(min_amount=1, required=False, code_below="INVALID_LINE_ITEM_REFUND_AMOUNT")
    tax_refund_mode = EnumField(TAX_REFUND_MODES, required=False, code="INVALID_TAX_REFUND_MODE")
    tax_money = MoneyField(required=False)
    tax_breakdown_refunds = ListOf(LineTaxBreakdownRefundInput(), min_length=1, required=False)
    tax_adjustment_reason = TaxAdjustmentReasonInput(required=False)
    tax_adjustment_audit = TaxAdjustmentAuditInput(required=False)
    refund_adjustments = ListOf(RefundAdjustmentInput(), min_length=1, max_length=20, required=False)
    adjustment_refunds = ListOf(AdjustmentRefundInput(), min_length=1, max_length=20, required=False)

    def validate(self, attrs):
        if attrs.get("tax_refund_mode") != "explicit":
            for name, code in EXPLICIT_ONLY.items():
                if name in attrs:
                    self.refuse(code, "This field goes with tax_refund_mode 'explicit'.", name)
            return attrs
        for name, code in EXPLICIT_NEEDS.items():
            if name not in attrs:
                self.refuse(code, "tax_refund_mode 'explicit' needs this field.", name)
        split, tax = attrs.get("tax_breakdown_refunds"), attrs["tax_money"]
        if tax.amount and not split:
            self.refuse("TAX_BREAKDOWN_REFUNDS_REQUIRED", "Say which taxes it is of.", "tax_breakdown_refunds")
        if split and (
            {row["tax_money"].currency for row in split} != {tax.currency}
            or sum(row["tax_money"].amount for row in split) != tax.amount
        ):
            self.refuse(
                "TAX_BREAKDOWN_REFUND_TOTAL_MISMATCH", "The taxes do not add up to tax_money.", "tax_breakdown_refunds"
            )
        return attrs


class RefundChargeInput(Input):
    """A charge to give back: an amount, or all that is left of it."""

    order_charge_id = IdField("och", code_required="ORDER_CHARGE_ID_REQUIRED")
    amount_money = MoneyField(min_amount=1, required=False, code_below="INVALID_CHARGE_REFUND_AMOUNT")


class FlatTaxRefundInput(Input):
    """A flat tax of the order to give back, as a whole."""

    tax_breakdown_id = IdField("txb", code_required="TAX_BREAKDOWN_ID_REQUIRED")
    tax_money = MoneyField(min_amount=1, required=False, code_below="INVALID_TAX_BREAKDOWN_REFUND_AMOUNT")


class TenderAllocationInput(Input):
    """How much of the refund goes back through one payment. Gift cards are not supported yet."""

    reserved = {"gift_card_redemption_id", "destination"}
    refusals = ("RESERVED_FIELD_NOT_YET_SUPPORTED", "INVALID_REFUND_TENDER_ALLOCATION")

    tender_type = EnumField(
        ["payment_intent", "gift_card_redemption"],
        code="INVALID_REFUND_TENDER_ALLOCATION",
        code_required="INVALID_REFUND_TENDER_ALLOCATION",
    )
    payment_intent_id = IdField("pi", required=False)
    amount_money = MoneyField(
        min_amount=1, code_below="INVALID_REFUND_TENDER_ALLOCATION", code_required="AMOUNT_MONEY_REQUIRED"
    )

    def validate(self, attrs):
        if attrs["tender_type"] != "payment_intent":
            self.refuse("RESERVED_FIELD_NOT_YET_SUPPORTED", "Gift cards are not supported yet.", "tender_type")
        if "payment_intent_id" not in attrs:
            self.refuse("INVALID_REFUND_TENDER_ALLOCATION", "Name the payment.", "payment_intent_id")
        return attrs


class CreateRefundInput(Input):
    """
    What to give back of an order, or of one of its payments.

    Neither amount nor targets gives back all that is left. `tender_allocations` describes the whole refund.
    `balance_effect` is an addition of Flint's: `credit` (default) for goods that come back, `reopen` for a correction
    after which the buyer still owes.
    """

    reserved = {"gift_card_load_id"}
    refusals = ("MISSING_REQUIRED_FIELD", "INVALID_BALANCE_EFFECT")

    order_id = IdField("ord", required=False)
    payment_intent_id = IdField("pi", required=False)
    amount_money = MoneyField(min_amount=1, required=False, code_below="AMOUNT_TOO_SMALL")
    line_items = ListOf(RefundLineItemInput(), min_length=1, max_length=1000, required=False)
    charges = ListOf(RefundChargeInput(), min_length=1, max_length=1000, required=False)
    tax_breakdown_refunds = ListOf(FlatTaxRefundInput(), min_length=1, max_length=1000, required=False)
    tender_allocations = ListOf(TenderAllocationInput(), min_length=1, max_length=MAX_TENDERS, required=False)
    balance_effect = EnumField(BalanceEffect.values, required=False, code="INVALID_BALANCE_EFFECT")
    reason = EnumField(Reason.values, required=False, code="INVALID_REFUND_REASON")
    reason_message = StrictString(max_length=500, required=False)
    refund_method = EnumField(["original_payment"], required=False, code="INVALID_REFUND_METHOD")
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField(required=False)

    def validate(self, attrs):
        if not any(name in attrs for name in ("order_id", "payment_intent_id", "tender_allocations")):
            self.refuse("MISSING_REQUIRED_FIELD", "Send the order or the payment intent to refund.", "order_id")
        targets = [name for name in ("line_items", "charges", "tax_breakdown_refunds") if name in attrs]
        if targets and attrs.get("balance_effect") == "reopen":
            self.refuse(
                "INVALID_BALANCE_EFFECT",
                "A payment correction takes back no part of the sale. Leave the targets out.",
                "balance_effect",
            )
        return attrs


class UpdateRefundInput(Patch):
    """The merchant's own metadata; nothing else of a refund changes."""

    metadata = MetadataPatchField()
