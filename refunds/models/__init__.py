"""Giving back: what was promised and where it goes, and what disputes take back."""

from refunds.models.disputes import Dispute, DisputeMovement
from refunds.models.refunds import (
    UNSETTLED,
    BalanceEffect,
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
    "UNSETTLED",
    "BalanceEffect",
    "Dispute",
    "DisputeMovement",
    "R",
    "Reason",
    "Refund",
    "RefundAllocation",
    "RefundLeg",
    "RefundNotFound",
    "RefundOrigin",
    "RefundStatus",
]
