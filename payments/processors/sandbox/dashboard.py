"""
What a merchant does at the network itself, behind Flint's back. Flint learns of it by a notice or by asking.

These are the network's own actions: no operation id, no fault plan, no idempotency.
"""

from datetime import datetime
from typing import Literal

from django.db import transaction
from django.utils import timezone

from flint.money import Money
from payments.processors.base import PaymentState, RefundState
from payments.processors.sandbox import network
from payments.processors.sandbox.states import payment_state, refund_state


def charge(
    *,
    environment_id: str,
    money: Money,
    token: str = "pm_card_visa",
    capture_method: Literal["automatic", "manual"] = "automatic",
    payment_intent_id: str = "",
    at: datetime | None = None,
) -> PaymentState:
    """Take a payment that no operation of ours asked for, with somebody else's metadata if any."""
    with transaction.atomic(durable=True):
        payment = network.start_payment(
            environment_id=environment_id,
            money=money,
            token=token,
            capture_method=capture_method,
            payment_intent_id=payment_intent_id,
            at=at or timezone.now(),
        )
        return payment_state(payment)


def capture(*, environment_id: str, reference: str, money: Money, at: datetime | None = None) -> PaymentState:
    """Capture some or all of a hold."""
    with transaction.atomic(durable=True):
        payment = network.lock_payment(environment_id, reference)
        network.capture(payment, money=money, at=at or timezone.now())
        return payment_state(payment)


def cancel(
    *, environment_id: str, reference: str, reason: str = "requested_by_customer", at: datetime | None = None
) -> PaymentState:
    """Let a payment or hold go."""
    with transaction.atomic(durable=True):
        payment = network.lock_payment(environment_id, reference)
        network.cancel(payment, reason=reason, at=at or timezone.now())
        return payment_state(payment)


def refund(*, environment_id: str, reference: str, money: Money, at: datetime | None = None) -> RefundState:
    """Give money back."""
    with transaction.atomic(durable=True):
        payment = network.lock_payment(environment_id, reference)
        made = network.refund(payment, money=money, at=at or timezone.now())
        return refund_state(made)
