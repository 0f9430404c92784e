"""How a refund that does not fit is refused."""

from flint.errors import Conflict, InvalidInput, NotFound


class AmountExceedsRefundable(InvalidInput):
    code = "AMOUNT_EXCEEDS_REFUNDABLE"
    message = "This is more than is left to refund."


class NothingToRefund(InvalidInput):
    code = "NOTHING_TO_REFUND"
    message = "Nothing is left to refund here."


class NothingToRefundForLineItem(InvalidInput):
    code = "NOTHING_TO_REFUND_FOR_LINE_ITEM"
    message = "Nothing is left to refund on this line item."


class NothingToRefundForCharge(InvalidInput):
    code = "NOTHING_TO_REFUND_FOR_CHARGE"
    message = "Nothing is left to refund on this charge."


class LineItemNotOnOrder(InvalidInput):
    code = "LINE_ITEM_NOT_ON_ORDER"
    message = "The line item is not on this order."


class ChargeNotOnOrder(InvalidInput):
    code = "CHARGE_NOT_ON_ORDER"
    message = "The charge is not on this order."


class DuplicateLineItemTarget(InvalidInput):
    code = "DUPLICATE_LINE_ITEM_TARGET"
    message = "Name each line item once."


class DuplicateChargeTarget(InvalidInput):
    code = "DUPLICATE_CHARGE_TARGET"
    message = "Name each charge once."


class LineItemRefundTargetAmbiguous(InvalidInput):
    code = "LINE_ITEM_REFUND_TARGET_AMBIGUOUS"
    message = "Say how much of the line item goes back either in units or as an amount, not both."


class LineItemRefundQuantityExceedsRefundable(InvalidInput):
    code = "LINE_ITEM_REFUND_QUANTITY_EXCEEDS_REFUNDABLE"
    message = "Fewer units of this line item are left to refund."


class LineItemRefundAmountExceedsRefundable(InvalidInput):
    code = "LINE_ITEM_REFUND_AMOUNT_EXCEEDS_REFUNDABLE"
    message = "Less of this line item is left to refund."


class ChargeRefundAmountExceedsRefundable(InvalidInput):
    code = "CHARGE_REFUND_AMOUNT_EXCEEDS_REFUNDABLE"
    message = "Less of this charge is left to refund."


class AmountRequiredForMixedRefundTargets(InvalidInput):
    code = "AMOUNT_REQUIRED_FOR_MIXED_REFUND_TARGETS"
    message = "A refund of several kinds of targets together needs its 'amount_money'."


class RefundTargetsExceedRefundAmount(InvalidInput):
    code = "REFUND_TARGETS_EXCEED_REFUND_AMOUNT"
    message = "The targets add up to more than the refund's amount."


class NoPaymentsForOrder(InvalidInput):
    code = "NO_PAYMENTS_FOR_ORDER"
    message = "The order has not collected any money yet."


class PaymentIntentNotRefundable(Conflict):
    code = "PAYMENT_INTENT_NOT_REFUNDABLE"
    message = "This payment has not captured any money. Cancel it instead."


class NothingToRefundForTaxBreakdown(InvalidInput):
    code = "NOTHING_TO_REFUND_FOR_TAX_BREAKDOWN"
    message = "Nothing is left to refund of this tax."


class OrderHasNoRefundableLineItems(InvalidInput):
    code = "ORDER_HAS_NO_REFUNDABLE_LINE_ITEMS"
    message = "The order has no line items."


class OrderHasNoRefundableCharges(InvalidInput):
    code = "ORDER_HAS_NO_REFUNDABLE_CHARGES"
    message = "The order has no charges."


class LineItemTargetsExceedRefundAmount(InvalidInput):
    code = "LINE_ITEM_TARGETS_EXCEED_REFUND_AMOUNT"
    message = "The line items add up to more than the refund's amount."


class ChargeTargetsExceedRefundAmount(InvalidInput):
    code = "CHARGE_TARGETS_EXCEED_REFUND_AMOUNT"
    message = "The charges add up to more than the refund's amount."


class TaxBreakdownTargetsExceedRefundAmount(InvalidInput):
    code = "TAX_BREAKDOWN_TARGETS_EXCEED_REFUND_AMOUNT"
    message = "The taxes add up to more than the refund's amount."


class TaxBreakdownUnavailable(InvalidInput):
    code = "TAX_BREAKDOWN_UNAVAILABLE"
    message = "The tax is not on this order."


class TaxBreakdownNotOrderScopedFlat(InvalidInput):
    code = "TAX_BREAKDOWN_NOT_ORDER_SCOPED_FLAT"
    message = "This tax is part of a line item or a charge. It goes back with that."


class DuplicateTaxBreakdownRefund(InvalidInput):
    code = "DUPLICATE_TAX_BREAKDOWN_REFUND"
    message = "Name each tax once."


class TaxBreakdownRefundExceedsRemaining(InvalidInput):
    code = "TAX_BREAKDOWN_REFUND_EXCEEDS_REMAINING"
    message = "Less of this tax is left to refund."


class FlatTaxRefundMustBeFull(InvalidInput):
    code = "FLAT_TAX_REFUND_MUST_BE_FULL"
    message = "A flat tax goes back as a whole."


class FlatTaxRefundStateInvalid(Conflict):
    code = "FLAT_TAX_REFUND_STATE_INVALID"
    message = "A refund of this tax is under way. Wait for its outcome."


class TaxRefundExceedsAutomatic(InvalidInput):
    code = "TAX_REFUND_EXCEEDS_AUTOMATIC"
    message = "There is less tax in what goes back of this line item."


class ExplicitTaxRefundNoop(InvalidInput):
    code = "EXPLICIT_TAX_REFUND_NOOP"
    message = "This is the tax that goes back by itself. Leave the explicit tax out."


class TaxBreakdownLineItemMismatch(InvalidInput):
    code = "TAX_BREAKDOWN_LINE_ITEM_MISMATCH"
    message = "The tax is not one of this line item."


class TaxBreakdownRefundsWithoutTax(InvalidInput):
    code = "TAX_BREAKDOWN_REFUNDS_WITHOUT_TAX"
    message = "There is no tax on this line item."


class RefundAdjustmentsExceedAutomatic(InvalidInput):
    code = "REFUND_ADJUSTMENTS_EXCEED_AUTOMATIC"
    message = "The adjustments leave nothing to give back of what they apply to."


class InvalidRefundAdjustmentTarget(InvalidInput):
    code = "INVALID_REFUND_ADJUSTMENT_TARGET"
    message = "This target gives back nothing from which an adjustment could be withheld."


class RefundAdjustmentNotFound(InvalidInput):
    code = "REFUND_ADJUSTMENT_NOT_FOUND"
    message = "No such adjustment on this order."


class RefundAdjustmentLineItemMismatch(InvalidInput):
    code = "REFUND_ADJUSTMENT_LINE_ITEM_MISMATCH"
    message = "The adjustment is one of another line item."


class RefundAdjustmentRefundExceedsRemaining(InvalidInput):
    code = "REFUND_ADJUSTMENT_REFUND_EXCEEDS_REMAINING"
    message = "Less of this adjustment is still withheld."


class DuplicateAdjustmentRefund(InvalidInput):
    code = "INVALID_REFUND_ADJUSTMENT_REFUND_AMOUNT"
    message = "Name each adjustment once."


class RefundAmountNotAllocated(InvalidInput):
    code = "REFUND_AMOUNT_NOT_ALLOCATED"
    message = "The tender allocations do not add up to the refund's amount."


class RefundTargetsNotAllocated(InvalidInput):
    code = "REFUND_TARGETS_NOT_ALLOCATED"
    message = "The tender allocations are less than the targets."


class RefundTenderNotFound(NotFound):
    code = "REFUND_TENDER_NOT_FOUND"
    message = "No such payment to refund."


class RefundTenderCapacityConflict(Conflict):
    code = "REFUND_TENDER_CAPACITY_CONFLICT"
    message = "This payment can give back less than is allocated to it."


class InvalidRefundTenderAllocation(InvalidInput):
    code = "INVALID_REFUND_TENDER_ALLOCATION"
    message = "Name each payment once, and only the one that the refund is narrowed to."


class PaymentIntentNotPartOfOrder(InvalidInput):
    code = "PAYMENT_INTENT_NOT_PART_OF_ORDER"
    message = "The payment is not one of this order."


class RefundCannotBeRepeated(Conflict):
    code = "REFUND_CANNOT_BE_REPEATED"
    message = "What this refund was for was given back or changed in the meantime. Make a new refund of what is left."
