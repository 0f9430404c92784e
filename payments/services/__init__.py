"""The verbs of payments."""

from payments.services.closing import Closed, cancel_attempt, cancel_leg, capture, release_stray_hold
from payments.services.legs import create_leg
from payments.services.methods import (
    record_setup,
    remove_method,
    save_method,
    set_default_method,
)
from payments.services.pay import pay
from payments.services.recording import DoesNotFit, record_payment, record_refusal
from payments.services.standalone import cancel_intent, capture_intent, confirm_intent, create_intent, update_intent
from payments.services.sweeping import sweep

__all__ = [
    "Closed",
    "DoesNotFit",
    "cancel_attempt",
    "cancel_intent",
    "cancel_leg",
    "capture",
    "capture_intent",
    "confirm_intent",
    "create_intent",
    "create_leg",
    "pay",
    "record_payment",
    "record_refusal",
    "record_setup",
    "release_stray_hold",
    "remove_method",
    "save_method",
    "set_default_method",
    "sweep",
    "update_intent",
]
