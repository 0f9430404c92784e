"""The network's own ledger: every movement of money is written here, and nowhere else, in the caller's transaction."""

from datetime import datetime

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
) -> SandboxMovement:
    """Write down that money moved, in the payment's currency."""
    return SandboxMovement.objects.create(
        environment_id=payment.environment_id,
        payment=payment,
        refund=refund,
        dispute=dispute,
        kind=kind,
        amount=amount,
        currency=payment.currency,
        at=at,
    )
