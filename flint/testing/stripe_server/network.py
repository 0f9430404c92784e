"""
What happens at Stripe: one account's book, all in memory, with a clock of its own.

Callers hold ``book.lock``. A public function of its parts is either a call of the API, something a buyer, a bank or the
dashboard does, or the passing of time.
"""

from collections.abc import Callable
from threading import RLock
from typing import Any

from flint.testing.stripe_server.clock import SLOW_RAIL, Clock
from flint.testing.stripe_server.disputes import Disputes
from flint.testing.stripe_server.payments import Payment, Payments
from flint.testing.stripe_server.purse import Purse
from flint.testing.stripe_server.refunds import Refunds
from flint.testing.stripe_server.showing import Showing
from flint.testing.stripe_server.sources import Source
from flint.testing.stripe_server.vault import Vault


class Book(Payments, Refunds, Vault, Disputes, Purse, Showing):
    """Everything of one account in one mode, and its verbs."""

    def __init__(self, clock: Clock, *, livemode: bool, emit: Callable[[str, dict[str, Any]], None]):
        self.clock, self.livemode, self.emit = clock, livemode, emit
        self.lock = RLock()
        self.objects: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, Payment] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.due_refunds: dict[str, tuple[int, str]] = {}
        self.customers: dict[str, dict[str, Any]] = {}
        self.methods: dict[str, dict[str, Any]] = {}
        self.kept_sources: dict[str, Source] = {}
        self.setups: dict[str, dict[str, Any]] = {}
        self.trying: dict[str, tuple[str, Source]] = {}
        self.disputes: dict[str, dict[str, Any]] = {}
        self.movements: dict[str, dict[str, Any]] = {}
        self.payouts: dict[str, dict[str, Any]] = {}
        self.paid_out: dict[str, str] = {}
        self.rates: dict[str, tuple[str, int, int]] = {}
        self.needs_mandates = False
        self.slow_rail = SLOW_RAIL

    def pass_time(self) -> None:
        """Let everything happen that is due: debits and disputes end, holds lapse, refunds and payouts arrive."""
        self._end_debits_and_holds()
        self._end_refunds()
        self._end_disputes()
        self._end_payouts()
