"""The verbs of refunds."""

from refunds.services.create_refund import create_refund
from refunds.services.explaining import explain_refund
from refunds.services.importing import take_in_refund
from refunds.services.recording import record_refund, record_refused
from refunds.services.sending import ask_about_refund, send_refund, sweep
from refunds.services.update_refund import update_refund

__all__ = [
    "ask_about_refund",
    "create_refund",
    "explain_refund",
    "record_refund",
    "record_refused",
    "send_refund",
    "sweep",
    "take_in_refund",
    "update_refund",
]
