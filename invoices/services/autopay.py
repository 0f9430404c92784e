"""Charging a saved payment method when something is due: the clock says when, the room of payments does it."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

Outcome = Literal["paid", "pending", "failed", "refused"]
"""
What came of a try: money came in, or may yet (somebody will learn of it), or the bank declined, or nothing was tried,
since the invoice asks for nothing, is being paid already, or has no method that may be charged.
"""

Collector = Callable[..., Outcome]
_collectors: list[Collector] = []


def collects(collector: Collector) -> Collector:
    """Register who charges: ``collector(invoice_id=…, entry_id=…, number=…, at=…)``."""
    _collectors.append(collector)
    return collector


def collect_due(invoice_id: str, entry_id: str | None = None, *, number: int, at: datetime) -> Outcome:
    """
    Charge the invoice's saved method with what is due, or with one part of its schedule. Outside any transaction.

    :param number: which try for this due date it is, from 0. However often one is begun, it charges once.
    """
    (collector,) = _collectors
    return collector(invoice_id=invoice_id, entry_id=entry_id, number=number, at=at)
