"""Disputes: what a buyer's bank claims back, what is held for it, and how it ends."""

from typing import Any

from flint.testing.stripe_server import shapes
from flint.testing.stripe_server.amounts import DISPUTE_FEE
from flint.testing.stripe_server.clock import ANSWER_WITHIN
from flint.testing.stripe_server.errors import invalid, missing

OPEN = ("warning_needs_response", "warning_under_review", "needs_response", "under_review")


class Disputes:
    """What a book does about disputes. Except for reading them, all of it is done by banks and in the dashboard."""

    disputes: dict[str, dict[str, Any]]

    def open_dispute(
        self,
        payment_id: str,
        amount: int | None = None,
        *,
        reason: str = "fraudulent",
        inquiry: bool = False,
        case_type: str = "",
        refundable: bool | None = None,
    ) -> dict[str, Any]:
        """Let a buyer's bank dispute a payment: all of it or an amount, at once or with a question first."""
        payment = self.find_payment(payment_id)
        charge = next((charge for charge in reversed(payment.charges) if charge["captured"]), None)
        if charge is None:
            raise invalid("Nothing was taken that could be disputed.")
        is_bank = payment.source.is_bank
        dispute = self._keep(
            shapes.dispute(
                charge,
                created=self.clock.now(),
                amount=charge["amount_captured"] if amount is None else amount,
                reason=reason,
                status="warning_needs_response" if inquiry else "lost" if is_bank else "needs_response",
                case_type=case_type or ("inquiry" if inquiry else "chargeback"),
                # A returned bank debit cannot be answered.
                due_by=0 if is_bank else self.clock.now() + ANSWER_WITHIN,
                is_charge_refundable=inquiry if refundable is None else refundable,
                is_bank=is_bank,
            )
        )
        self.disputes[dispute["id"]] = dispute
        charge["disputed"] = True
        if inquiry:
            self._tell("charge.dispute.created", dispute)
            return dispute
        self._hold_back(dispute, dispute["amount"], fee=DISPUTE_FEE)
        self._tell("charge.dispute.created", dispute)
        self._tell("charge.dispute.funds_withdrawn", dispute)
        if is_bank:
            self._tell("charge.dispute.closed", dispute)
        return dispute

    def escalate_dispute(self, id: str) -> None:
        """Let a question become a claim, whose money is withdrawn."""
        dispute = self.find_dispute(id)
        dispute |= {"status": "needs_response", "is_charge_refundable": False}
        dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
        dispute["evidence_details"]["due_by"] = self.clock.now() + ANSWER_WITHIN
        self._tell("charge.dispute.updated", dispute)
        self.withdraw(id, dispute["amount"], fee=DISPUTE_FEE)

    def withdraw(self, id: str, amount: int, *, fee: int = 0) -> None:
        """Take money back for a dispute."""
        dispute = self.find_dispute(id)
        self._hold_back(dispute, amount, fee=fee)
        self._tell("charge.dispute.funds_withdrawn", dispute)

    def reinstate(self, id: str, amount: int, *, fee: int = 0) -> None:
        """Give back money that was taken for a dispute, and with it a fee if there is one to give back."""
        dispute = self.find_dispute(id)
        move = self._move(
            "adjustment",
            "dispute_reversal",
            amount=amount,
            currency=dispute["currency"],
            source=id,
            fee=-fee,
            description=f"Chargeback reversal for {dispute['charge']}",
        )
        dispute["balance_transactions"].append(move)
        self._tell("charge.dispute.funds_reinstated", dispute)

    def submit_evidence(self, id: str) -> None:
        """Answer a dispute."""
        dispute = self.find_dispute(id)
        is_question = dispute["status"].startswith("warning_")
        dispute["status"] = "warning_under_review" if is_question else "under_review"
        details = dispute["evidence_details"]
        details |= {"has_evidence": True, "submission_count": details["submission_count"] + 1}
        self._tell("charge.dispute.updated", dispute)

    def win_dispute(self, id: str) -> None:
        """Let the bank decide for the merchant, who gets back what is held."""
        dispute = self.find_dispute(id)
        self._close(dispute, "won")
        if held := self._held(dispute):
            self.reinstate(id, held)

    def lose_dispute(self, id: str, *, reinstated: int = 0) -> None:
        """Let the bank decide for the buyer, all of it or less an amount that the merchant gets back."""
        dispute = self.find_dispute(id)
        self._close(dispute, "lost")
        if reinstated:
            self.reinstate(id, reinstated)

    def end_dispute(self, id: str, status: str = "warning_closed") -> None:
        """Let a question lapse, or a dispute be prevented."""
        self._close(self.find_dispute(id), status)

    def find_dispute(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if this account has no such Dispute in this mode."""
        if id not in self.disputes:
            raise missing("dispute", id, param="dispute")
        return self.disputes[id]

    # Inside

    def _hold_back(self, dispute: dict[str, Any], amount: int, *, fee: int) -> None:
        move = self._move(
            "adjustment",
            "dispute",
            amount=-amount,
            currency=dispute["currency"],
            source=dispute["id"],
            fee=fee,
            description=f"Chargeback withdrawal for {dispute['charge']}",
        )
        dispute["balance_transactions"].append(move)

    def _held(self, dispute: dict[str, Any]) -> int:
        # In the payment's currency: the balance's own amounts may have been converted at any rate.
        if dispute["currency"] not in self.rates:
            return -sum(move["amount"] for move in dispute["balance_transactions"])
        return dispute["amount"] if dispute["balance_transactions"] else 0

    def _close(self, dispute: dict[str, Any], status: str) -> None:
        dispute["status"] = status
        self._tell("charge.dispute.closed", dispute)

    def _is_locked(self, charge: dict[str, Any]) -> bool:
        """Tell whether a dispute keeps a charge from being refunded."""
        about = [dispute for dispute in self.disputes.values() if dispute["charge"] == charge["id"]]
        return any(not dispute["is_charge_refundable"] and dispute["status"] in (*OPEN, "lost") for dispute in about)

    def _end_disputes(self) -> None:
        now = self.clock.now()
        for dispute in list(self.disputes.values()):
            details = dispute["evidence_details"]
            if not details["due_by"] or details["due_by"] > now or not dispute["status"].endswith("needs_response"):
                continue
            details["past_due"] = True
            self._close(dispute, "lost" if dispute["status"] == "needs_response" else "warning_closed")
