"""
What the network keeps for the merchant: one balance transaction for each movement of money, fees included.

Fees, in integers: a payment costs 2.9 % of what was taken, rounded half up, and 30 minor units; a dispute costs 1500
when its money is first withdrawn, and that comes back once nothing is withdrawn any more; a returned debit costs 400
in the same way. Refunds cost nothing and give no fee back. The fixed parts are ten times as many minor units in a
currency with three digits, and as many in one with none.

A payment becomes available two days after it was taken. Everything else is available at once, so that refunds and
disputes can push what is available below zero while payments are still pending.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet, Sum

from flint.money import exponent, half_up
from payments.processors.base import BalanceState
from payments.processors.sandbox.models import (
    SandboxBalanceTransaction,
    SandboxDispute,
    SandboxMovement,
    SandboxPayout,
)

PENDING_FOR = timedelta(days=2)

PER_MILLE = 29
FIXED = 30
DISPUTE_FEE = 1_500
RETURN_FEE = 400

Kind = SandboxMovement.Kind
Type = SandboxBalanceTransaction.Type
Status = SandboxBalanceTransaction.Status

TYPES = {
    Kind.CHARGE: (Type.PAYMENT, 1),
    Kind.REFUND: (Type.REFUND, -1),
    Kind.REFUND_FAILED: (Type.REFUND, 1),
    Kind.DISPUTE: (Type.DISPUTE, -1),
    Kind.DISPUTE_REVERSAL: (Type.DISPUTE_REVERSAL, 1),
}
"""What each movement is on the balance, and which way it goes. Holding and letting go move nothing there."""


def payment_fee(amount: int, currency: str) -> int:
    """Return what it costs to take a payment."""
    return half_up(amount * PER_MILLE, 1_000) + _fixed(FIXED, currency)


def dispute_fee(dispute: SandboxDispute) -> int:
    """Return what it costs to have a payment taken back."""
    return _fixed(RETURN_FEE if dispute.case_type == "bank_return" else DISPUTE_FEE, dispute.currency)


def move(movement: SandboxMovement, *, fee_amount: int = 0) -> None:
    """Have a movement of money count on the balance."""
    if movement.kind not in TYPES:
        return
    type, sign = TYPES[movement.kind]
    source_kind, source = "payment", movement.payment_id
    if movement.refund_id:
        source_kind, source = "refund", movement.refund_id
    elif movement.dispute_id:
        source_kind, source = "dispute", movement.dispute_id
    _add(
        movement.environment_id,
        type,
        sign * movement.amount,
        movement.currency,
        fee_amount=fee_amount,
        source_kind=source_kind,
        source_reference=source,
        movement=movement,
        at=movement.at,
        available_at=movement.at + PENDING_FOR if type == Type.PAYMENT else movement.at,
    )


def move_for_payout(payout: SandboxPayout, type: Type, amount: int, *, at: datetime) -> None:
    """Have a payout count on the balance, or its return. An automatic payout settles its own movement too."""
    _add(
        payout.environment_id,
        type,
        amount,
        payout.currency,
        source_kind="payout",
        source_reference=payout.reference,
        settled_by=payout if payout.is_automatic and type == Type.PAYOUT else None,
        description=payout.description,
        at=at,
        available_at=at,
    )


def become_available(at: datetime, environment_id: str | None = None) -> int:
    """Let what is due by then be available, and return how many movements that are."""
    due = SandboxBalanceTransaction.objects.filter(status=Status.PENDING, available_at__lte=at)
    if environment_id is not None:
        due = due.filter(environment_id=environment_id)
    return due.update(status=Status.AVAILABLE)


def unsettled(environment_id: str) -> QuerySet[SandboxBalanceTransaction]:
    """Return the movements that the balance consists of."""
    return SandboxBalanceTransaction.objects.filter(environment_id=environment_id, settled_by__isnull=True)


def balances(environment_id: str) -> list[BalanceState]:
    """Return what is kept in each currency that ever was."""
    sums = unsettled(environment_id).order_by().values("currency")
    kept = {
        row["currency"]: (row["available"] or 0, row["pending"] or 0)
        for row in sums.annotate(
            available=Sum("net_amount", filter=Q(status=Status.AVAILABLE)),
            pending=Sum("net_amount", filter=Q(status=Status.PENDING)),
        )
    }
    paid_out = SandboxPayout.objects.filter(environment_id=environment_id).order_by()
    currencies = {*kept, *paid_out.values_list("currency", flat=True).distinct()}
    return [BalanceState(currency, *kept.get(currency, (0, 0))) for currency in sorted(currencies)]


def _add(
    environment_id: str,
    type: Type,
    amount: int,
    currency: str,
    *,
    at: datetime,
    available_at: datetime,
    fee_amount: int = 0,
    **facts: Any,
) -> None:
    SandboxBalanceTransaction.objects.create(
        environment_id=environment_id,
        type=type,
        status=Status.AVAILABLE if available_at <= at else Status.PENDING,
        amount=amount,
        fee_amount=fee_amount,
        net_amount=amount - fee_amount,
        currency=currency,
        occurred_at=at,
        available_at=available_at,
        **facts,
    )


def _fixed(amount: int, currency: str) -> int:
    return amount * 10 ** max(exponent(currency) - 2, 0)
