"""The server's time, and how long things take by it."""

import time

DAY = 24 * 3600
HOLD_FOR = 7 * DAY
SLOW_RAIL = 4 * DAY
"""How long a bank debit and a slow refund take, unless a book is told otherwise."""

SETTLES_IN = 2 * DAY
"""How long until a payment's money is available."""

ARRIVES_IN = 2 * DAY
"""How long a payout is under way."""

ANSWER_WITHIN = 10 * DAY
"""How long there is to answer a dispute."""


class Clock:
    """The server's time: the machine's, and as far ahead of it as the tests have moved it."""

    def __init__(self):
        self.ahead = 0.0

    def now(self) -> int:
        """Return the time in whole seconds, as Stripe writes it."""
        return int(time.time() + self.ahead)
