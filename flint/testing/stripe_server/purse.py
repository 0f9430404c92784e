"""An account's balance: every movement of it, what it keeps of each, and the payouts to the merchant's bank."""

from typing import Any

from flint.testing.stripe_server import shapes
from flint.testing.stripe_server.amounts import converted
from flint.testing.stripe_server.clock import ARRIVES_IN
from flint.testing.stripe_server.errors import invalid, missing


class Purse:
    """What a book does with the money it keeps."""

    movements: dict[str, dict[str, Any]]
    payouts: dict[str, dict[str, Any]]
    paid_out: dict[str, str]
    rates: dict[str, tuple[str, int, int]]

    # What the bank, the dashboard and the schedule do

    def pay_out(self, currency: str = "eur", amount: int | None = None) -> dict[str, Any]:
        """
        Send what is available to the bank, as the schedule does, or an amount of it, as somebody may by hand.

        :raises ApiError: if there is nothing to send, or less than that.
        """
        automatic = amount is None
        rows = [
            move
            for move in self.movements.values()
            if move["currency"] == currency and self._status_of(move) == "available" and move["id"] not in self.paid_out
        ]
        available = sum(move["net"] for move in rows)
        amount = available if automatic else amount
        if amount < 1 or amount > available:
            raise invalid("You have insufficient funds in your Stripe account.", code="balance_insufficient")
        now = self.clock.now()
        payout = self._keep(
            shapes.payout(
                livemode=self.livemode,
                created=now,
                amount=amount,
                currency=currency,
                automatic=automatic,
                arrival_date=now + ARRIVES_IN,
            )
        )
        self.payouts[payout["id"]] = payout
        move = self._move("payout", "payout", amount=-amount, currency=currency, source=payout["id"])
        payout["balance_transaction"] = move["id"]
        if automatic:
            # Stripe counts a payout's own movement among those that it paid out.
            self.paid_out |= {row["id"]: payout["id"] for row in [*rows, move]}
        self._tell("payout.created", payout)
        if automatic:
            payout["reconciliation_status"] = "completed"
            self._tell("payout.reconciliation_completed", payout)
        return payout

    def fail_payout(self, id: str, code: str = "account_closed") -> None:
        """Let the bank send a payout back, which it may do after it was paid."""
        payout = self.find_payout(id)
        move = self._move(
            "payout_failure", "payout_reversal", amount=payout["amount"], currency=payout["currency"], source=id
        )
        payout |= {
            "status": "failed",
            "failure_code": code,
            "failure_message": "The bank account has been closed." if code == "account_closed" else "It failed.",
            "failure_balance_transaction": move["id"],
        }
        self._tell("payout.failed", payout)

    def cancel_payout(self, id: str) -> None:
        """Stop a payout that has not left. :raises ApiError: if it has."""
        payout = self.find_payout(id)
        if payout["status"] != "pending":
            raise invalid("Payouts can only be canceled while they are pending.", code="payouts_not_allowed")
        move = self._move(
            "payout_cancel", "payout_reversal", amount=payout["amount"], currency=payout["currency"], source=id
        )
        payout |= {"status": "canceled", "failure_balance_transaction": move["id"]}
        self._tell("payout.canceled", payout)

    def send_payout(self, id: str) -> None:
        """Let a payout leave."""
        payout = self.find_payout(id)
        payout["status"] = "in_transit"
        self._tell("payout.updated", payout)

    def adjust(
        self, amount: int, *, currency: str = "eur", type: str = "stripe_fee", category: str = "fee", text: str = ""
    ) -> dict[str, Any]:
        """Book what is about no payment: Stripe's own bill, a reserve, a correction."""
        return self._move(type, category, amount=amount, currency=currency, source=None, description=text)

    # Reading

    def find_movement(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if this account has no such BalanceTransaction in this mode."""
        if id not in self.movements:
            raise missing("balance_transaction", id, param="id")
        return self.movements[id]

    def find_payout(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if this account has no such Payout in this mode."""
        if id not in self.payouts:
            raise missing("payout", id, param="payout")
        return self.payouts[id]

    def balance(self) -> dict[str, Any]:
        """Return what is kept, by currency: what may be paid out, and what comes later."""
        sums: dict[str, dict[str, int]] = {"available": {}, "pending": {}}
        for move in self.movements.values():
            rows = sums[self._status_of(move)]
            rows[move["currency"]] = rows.get(move["currency"], 0) + move["net"]
        return shapes.balance(livemode=self.livemode, **sums)

    # Inside

    def _move(
        self,
        type: str,
        category: str,
        *,
        amount: int,
        currency: str,
        source: str | None,
        fee: int = 0,
        after: int = 0,
        description: str = "",
    ) -> dict[str, Any]:
        """Book one movement, in the currency that the account is kept in, available after a time."""
        kept, currency, rate = converted(amount, currency, self.rates)
        now = self.clock.now()
        move = shapes.balance_transaction(
            created=now,
            available_on=now + after,
            amount=kept,
            currency=currency,
            fee=fee,
            type=type,
            reporting_category=category,
            source=source,
            description=description or None,
            exchange_rate=rate,
        )
        self.movements[move["id"]] = move
        return self._keep(move)

    def _end_payouts(self) -> None:
        now = self.clock.now()
        for payout in list(self.payouts.values()):
            if payout["status"] in ("pending", "in_transit") and payout["arrival_date"] <= now:
                payout["status"] = "paid"
                self._tell("payout.paid", payout)
