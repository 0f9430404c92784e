"""The network's own ledger: every movement of money is written here, and nowhere else, in the caller's transaction."""

from datetime import datetime

from payments.processors.sandbox import balance
from payments.processors.sandbox.models import SandboxDispute, SandboxMovement, SandboxPayment, SandboxRefund

Kind = SandboxMovement.Kind


def book(
    payment: SandboxPayment,
    kind: Kind,
    amount: int,
    at: datetime,
    *,
    refund: SandboxRefund | None = None,
    dispute: SandboxDispute | None = None,
    fee_amount: int = 0,
) -> None:
    """Write down that money moved, in the payment's currency, and have it count on the merchant's balance."""
    movement = SandboxMovement.objects.create(
        environment_id=payment.environment_id,
        payment=payment,
        refund=refund,
        dispute=dispute,
        kind=kind,
        amount=amount,
        currency=payment.currency,
        at=at,
    )
    balance.move(movement, fee_amount=fee_amount)
