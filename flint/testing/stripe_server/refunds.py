"""Giving back: refunds, those that take their time, and those that come back."""

from typing import Any

from flint.testing.stripe_server import shapes
from flint.testing.stripe_server.amounts import check_amount
from flint.testing.stripe_server.errors import invalid, missing
from flint.testing.stripe_server.sources import Source


class Refunds:
    """What a book does about refunds."""

    refunds: dict[str, dict[str, Any]]
    due_refunds: dict[str, tuple[int, str]]

    # Calls of the API

    def create_refund(self, params: dict[str, Any]) -> dict[str, Any]:
        """Give back some or all of a charge. :raises ApiError: when nothing or less is left of it."""
        charge, source = self._charge_to_refund(params)
        if self._is_locked(charge):
            raise invalid(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
            )
        left = charge["amount_captured"] - self._given_back(charge)
        amount = params.get("amount", left)
        if left <= 0:
            raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if amount < 1:
            raise invalid("Invalid positive integer", param="amount", code="parameter_invalid_integer")
        check_amount(amount, charge["currency"], smallest=1)
        if amount > left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
            )
        is_slow = source.refund == "pend" or source.is_bank
        made = shapes.refund(
            charge,
            created=self.clock.now(),
            amount=amount,
            status="pending" if is_slow else "succeeded",
            metadata=params.get("metadata", {}),
            reason=params.get("reason"),
        )
        if is_slow:
            made["pending_reason"] = "processing"
        self.refunds[made["id"]] = self._keep(made)
        kind = "payment_refund" if source.is_bank else "refund"
        move = self._move(kind, "refund", amount=-amount, currency=charge["currency"], source=made["id"])
        made["balance_transaction"] = move["id"]
        if is_slow or source.refund == "fail_later":
            outcome = "failed" if source.refund == "fail_later" else "succeeded"
            self.due_refunds[made["id"]] = (self.clock.now() + self.slow_rail, outcome)
        self._count_refunds(charge)
        self._tell("refund.created", made)
        self._tell("charge.refunded", charge)
        return made

    def find_refund(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if this account has no such Refund in this mode."""
        if id not in self.refunds:
            raise missing("refund", id, param="id")
        return self.refunds[id]

    # What banks do

    def fail_refund(self, id: str, reason: str = "lost_or_stolen_card") -> None:
        """Let a bank send a refund back."""
        refund = self.find_refund(id)
        self.due_refunds.pop(id, None)
        move = self._move(
            "adjustment", "refund_failure", amount=refund["amount"], currency=refund["currency"], source=id
        )
        refund |= {"status": "failed", "failure_reason": reason, "failure_balance_transaction": move["id"]}
        refund.pop("pending_reason", None)
        charge = self._charge(refund["charge"])[0]
        self._count_refunds(charge)
        for type in ("refund.updated", "refund.failed", "charge.refund.updated"):
            self._tell(type, refund)

    # Inside

    def _charge_to_refund(self, params: dict[str, Any]) -> tuple[dict[str, Any], Source]:
        if "charge" in params:
            return self._charge(params["charge"])
        if "payment_intent" not in params:
            raise invalid("One of charge or payment_intent is required.", code="parameter_missing", param="charge")
        payment = self.payments.get(params["payment_intent"])
        if payment is None:
            raise missing("payment_intent", params["payment_intent"], param="payment_intent")
        if not payment.charges or not payment.charges[-1]["captured"]:
            raise invalid(
                "This PaymentIntent does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
                param="payment_intent",
            )
        return payment.charges[-1], payment.source

    def _charge(self, id: str) -> tuple[dict[str, Any], Source]:
        charge = self.objects.get(id)
        if charge is None or charge["object"] != "charge":
            raise missing("charge", id, param="charge")
        return charge, self.payments[charge["payment_intent"]].source

    def _given_back(self, charge: dict[str, Any]) -> int:
        return sum(
            refund["amount"]
            for refund in self.refunds.values()
            if refund["charge"] == charge["id"] and refund["status"] not in ("failed", "canceled")
        )

    def _count_refunds(self, charge: dict[str, Any]) -> None:
        not_taken = charge["amount"] - charge["amount_captured"]
        charge["amount_refunded"] = not_taken + self._given_back(charge)
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]

    def _end_refunds(self) -> None:
        now = self.clock.now()
        for id, (due_at, outcome) in list(self.due_refunds.items()):
            if due_at > now:
                continue
            if outcome == "failed":
                self.fail_refund(id, "expired_or_canceled_card")
            else:
                del self.due_refunds[id]
                self.refunds[id]["status"] = "succeeded"
                self.refunds[id].pop("pending_reason", None)
                self._tell("refund.updated", self.refunds[id])
                self._tell("charge.refund.updated", self.refunds[id])
