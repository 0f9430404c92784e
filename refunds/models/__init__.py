"""Giving back: what was promised and where it goes, and what disputes take back."""

from refunds.models.adjustments import AdjustmentReason, AdjustmentType, AppliesTo, RefundAdjustment, TaxReason
from refunds.models.disputes import Dispute, DisputeMovement
from refunds.models.refunds import (
    UNDONE,
    UNSETTLED,
    BalanceEffect,
    Handling,
    R,
    Reason,
    Refund,
    RefundAllocation,
    RefundLeg,
    RefundNotFound,
    RefundOrigin,
    RefundStatus,
)

__all__ = [
    "UNDONE",
    "UNSETTLED",
    "AdjustmentReason",
    "AdjustmentType",
    "AppliesTo",
    "BalanceEffect",
    "Dispute",
    "DisputeMovement",
    "Handling",
    "R",
    "Reason",
    "Refund",
    "RefundAdjustment",
    "RefundAllocation",
    "RefundLeg",
    "RefundNotFound",
    "RefundOrigin",
    "RefundStatus",
    "TaxReason",
]
