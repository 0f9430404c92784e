"""The verbs of refunds."""

from refunds.services.create_refund import create_refund
from refunds.services.credit_notes import CreditNoteRefundExceedsBalance, issue_with_refund, refund_credit_note
from refunds.services.explaining import explain_refund
from refunds.services.handling import note_paid_outside, set_aside, try_again
from refunds.services.importing import take_in_refund
from refunds.services.recording import record_refund, record_refused
from refunds.services.sending import ask_about_refund, send_refund, sweep
from refunds.services.surplus import refund_surplus, sweep_surplus
from refunds.services.update_refund import update_refund

__all__ = [
    "CreditNoteRefundExceedsBalance",
    "ask_about_refund",
    "create_refund",
    "explain_refund",
    "issue_with_refund",
    "note_paid_outside",
    "record_refund",
    "record_refused",
    "refund_credit_note",
    "refund_surplus",
    "send_refund",
    "set_aside",
    "sweep",
    "sweep_surplus",
    "take_in_refund",
    "try_again",
    "update_refund",
]
