"""
What a merchant does at the network itself, behind Flint's back. Flint learns of it by a notice or by asking.

These are the network's own actions: no operation id, no fault plan, no idempotency.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from django.db import transaction
from django.utils import timezone

from flint.money import Money
from payments.processors.base import DisputeState, PaymentState, PayoutState, RefundState
from payments.processors.sandbox import disputes, network, payouts
from payments.processors.sandbox.states import dispute_state, payment_state, payout_state, refund_state


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


def fail_refund(
    *, environment_id: str, reference: str, reason: str = "expired_or_canceled_card", at: datetime | None = None
) -> RefundState:
    """Have money come back that was on its way to the buyer, or thought to have arrived."""
    with transaction.atomic(durable=True):
        payment, made = network.lock_refund(environment_id, reference)
        network.fail_refund(payment, made, reason=reason, at=at or timezone.now())
        return refund_state(made)


def open_dispute(
    *,
    environment_id: str,
    reference: str,
    money: Money | None = None,
    reason: str = "general",
    case_type: str = "chargeback",
    withdraws: bool = True,
    at: datetime | None = None,
) -> DisputeState:
    """Dispute a payment, for all that was taken or any other amount. See :func:`disputes.open_dispute`."""
    with transaction.atomic(durable=True):
        payment = network.lock_payment(environment_id, reference)
        dispute = disputes.open_dispute(
            payment,
            money=Money(payment.captured_amount, payment.currency) if money is None else money,
            reason=reason,
            case_type=case_type,
            withdraws=withdraws,
            at=at or timezone.now(),
        )
        return dispute_state(dispute)


def return_debit(*, environment_id: str, reference: str, code: str = "R10", at: datetime | None = None) -> DisputeState:
    """Return a bank debit that had succeeded, by the bank's return code."""
    with transaction.atomic(durable=True):
        payment = network.lock_payment(environment_id, reference)
        return dispute_state(disputes.return_debit(payment, code=code, at=at or timezone.now()))


def escalate(*, environment_id: str, reference: str, at: datetime | None = None) -> DisputeState:
    """Make a dispute of an inquiry."""
    return _on_dispute(environment_id, reference, disputes.escalate, at)


def withdraw(*, environment_id: str, reference: str, money: Money, at: datetime | None = None) -> DisputeState:
    """Take money for a dispute, any amount."""
    return _on_dispute(environment_id, reference, disputes.withdraw, at, money=money)


def reinstate(*, environment_id: str, reference: str, money: Money, at: datetime | None = None) -> DisputeState:
    """Give back some or all of what is withdrawn for a dispute."""
    return _on_dispute(environment_id, reference, disputes.reinstate, at, money=money)


def correct_dispute(*, environment_id: str, reference: str, money: Money, at: datetime | None = None) -> DisputeState:
    """Change what is disputed; no money moves by that."""
    return _on_dispute(environment_id, reference, disputes.correct, at, money=money)


def submit_evidence(*, environment_id: str, reference: str, at: datetime | None = None) -> DisputeState:
    """Answer a dispute or inquiry."""
    return _on_dispute(environment_id, reference, disputes.submit_evidence, at)


def win(*, environment_id: str, reference: str, at: datetime | None = None) -> DisputeState:
    """Decide for the merchant; what is withdrawn comes back."""
    return _on_dispute(environment_id, reference, disputes.win, at)


def lose(*, environment_id: str, reference: str, at: datetime | None = None) -> DisputeState:
    """Decide for the buyer."""
    return _on_dispute(environment_id, reference, disputes.lose, at)


def close_warning(*, environment_id: str, reference: str, at: datetime | None = None) -> DisputeState:
    """Close an inquiry."""
    return _on_dispute(environment_id, reference, disputes.close_warning, at)


def prevent(*, environment_id: str, reference: str, at: datetime | None = None) -> DisputeState:
    """Settle a dispute or inquiry before it is decided."""
    return _on_dispute(environment_id, reference, disputes.prevent, at)


def pay_out(*, environment_id: str, money: Money, description: str = "", at: datetime | None = None) -> PayoutState:
    """Pay out by hand what is available, or some of it."""
    with transaction.atomic(durable=True):
        made = payouts.pay_out(environment_id, money=money, description=description, at=at or timezone.now())
        return payout_state(made)


def cancel_payout(*, environment_id: str, reference: str, at: datetime | None = None) -> PayoutState:
    """Call a payout back before it leaves."""
    return _on_payout(environment_id, reference, payouts.cancel, at)


def fail_payout(
    *, environment_id: str, reference: str, code: str = "account_closed", at: datetime | None = None
) -> PayoutState:
    """Have the bank send a payout back, also days after it arrived."""
    return _on_payout(environment_id, reference, payouts.fail, at, code=code)


def _on_payout(
    environment_id: str, reference: str, act: Callable[..., None], at: datetime | None, **options: Any
) -> PayoutState:
    with transaction.atomic(durable=True):
        payout = payouts.lock(environment_id, reference)
        act(payout, at=at or timezone.now(), **options)
        return payout_state(payout)


def _on_dispute(
    environment_id: str, reference: str, act: Callable[..., None], at: datetime | None, **options: Any
) -> DisputeState:
    with transaction.atomic(durable=True):
        dispute = disputes.lock(environment_id, reference)
        act(dispute, at=at or timezone.now(), **options)
        return dispute_state(dispute)
