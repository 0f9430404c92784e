"""What truly happened to money at the network, counted from its own ledger. Tests compare Flint's books with this."""

from dataclasses import dataclass

from payments.processors.sandbox.models import SandboxMovement


@dataclass(frozen=True, slots=True)
class Effect:
    """One movement of money."""

    kind: str
    amount: int
    currency: str
    payment_reference: str
    payment_intent_id: str
    order_id: str


class Effects(list[Effect]):
    """Movements in the order they happened, with the sums that tests ask for."""

    def of_kind(self, kind: str) -> "Effects":
        """Keep one kind: authorization, charge, release, refund, refund_failed, dispute or dispute_reversal."""
        return Effects(effect for effect in self if effect.kind == kind)

    @property
    def charges(self) -> "Effects":
        """Money that was taken."""
        return self.of_kind("charge")

    @property
    def refunds(self) -> "Effects":
        """Money that was given back, whether or not it arrived."""
        return self.of_kind("refund")

    @property
    def disputes(self) -> "Effects":
        """Money that was withdrawn for disputes, whether or not it was given back."""
        return self.of_kind("dispute")

    @property
    def charged_back(self) -> int:
        """What disputes hold back now."""
        return self.disputes.total - self.of_kind("dispute_reversal").total

    @property
    def total(self) -> int:
        """The sum in minor units, whatever the kind."""
        assert len({effect.currency for effect in self}) <= 1, "effects in several currencies have no sum"
        return sum(effect.amount for effect in self)

    @property
    def net(self) -> int:
        """What the merchant has in the end: charges, less refunds that did not come back, less what disputes hold."""
        return self.charges.total - self.refunds.total + self.of_kind("refund_failed").total - self.charged_back


def effects(environment_id: str, payment_intent_id: str | None = None, order_id: str | None = None) -> Effects:
    """Return every movement of an environment, of one payment intent or of one order, oldest first."""
    movements = SandboxMovement.objects.filter(environment_id=environment_id).select_related("payment")
    if payment_intent_id is not None:
        movements = movements.filter(payment__payment_intent_id=payment_intent_id)
    if order_id is not None:
        movements = movements.filter(payment__order_id=order_id)
    return Effects(
        Effect(
            kind=movement.kind,
            amount=movement.amount,
            currency=movement.currency,
            payment_reference=movement.payment_id,
            payment_intent_id=movement.payment.payment_intent_id,
            order_id=movement.payment.order_id,
        )
        for movement in movements.order_by("id")
    )
