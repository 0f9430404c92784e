"""The verbs of disputes: learning of them, and deciding what becomes of the debt they leave."""

from refunds.services.disputes.asking import ask_about_dispute, sweep, take_in
from refunds.services.disputes.booking import make_room, rebook
from refunds.services.disputes.deciding import collect_again, note_loss, write_off
from refunds.services.disputes.recording import record_dispute

__all__ = [
    "ask_about_dispute",
    "collect_again",
    "make_room",
    "note_loss",
    "rebook",
    "record_dispute",
    "sweep",
    "take_in",
    "write_off",
]
