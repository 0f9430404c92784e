"""The verbs of payments."""

from payments.services.closing import Closed, cancel_attempt, cancel_leg, capture, release_stray_hold
from payments.services.legs import create_leg
from payments.services.pay import pay
from payments.services.recording import DoesNotFit, record_payment, record_refusal
from payments.services.sweeping import sweep

__all__ = [
    "Closed",
    "DoesNotFit",
    "cancel_attempt",
    "cancel_leg",
    "capture",
    "create_leg",
    "pay",
    "record_payment",
    "record_refusal",
    "release_stray_hold",
    "sweep",
]
