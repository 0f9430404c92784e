"""The network's rows in the words of the processor contract, and as the plain snapshots that notices carry."""

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from flint.money import Money
from payments.processors.base import (
    BalanceTransactionState,
    BuyerAction,
    DisputeState,
    PaymentState,
    PayoutState,
    RefundState,
    SourceSummary,
)
from payments.processors.sandbox.accounts import publishable_key_of
from payments.processors.sandbox.keeping import customer_reference_of
from payments.processors.sandbox.models import (
    SandboxBalanceTransaction,
    SandboxDispute,
    SandboxPayment,
    SandboxPayout,
    SandboxRefund,
)


def payment_state(payment: SandboxPayment) -> PaymentState:
    """Return a payment as the contract has it."""
    return PaymentState(
        reference=payment.reference,
        status=str(payment.status),
        money=Money(payment.amount, payment.currency),
        operation_id=payment.operation_id,
        payment_intent_id=payment.payment_intent_id,
        environment_id=payment.environment_id,
        authorized_amount=payment.authorized_amount,
        captured_amount=payment.captured_amount,
        authorization_expires_at=payment.authorization_expires_at,
        error_code=payment.error_code,
        error_message=payment.error_message,
        action=buyer_action(payment) if payment.status == payment.Status.REQUIRES_ACTION else None,
        source=SourceSummary(
            type=payment.source_type,
            brand=payment.brand,
            last4=payment.last4,
            bank_name=payment.bank_name,
            account_type=payment.account_type,
            exp_month=payment.exp_month if payment.source_type == "card" else None,
            exp_year=payment.exp_year if payment.source_type == "card" else None,
        ),
        kept_token=payment.kept_token,
        customer_reference=customer_reference_of(payment.keep_for) if payment.kept_token else "",
        cancellation_reason=payment.cancellation_reason,
        created_at=payment.created_at,
    )


def buyer_action(payment: SandboxPayment) -> BuyerAction:
    """Return where the buyer authenticates: our 3-D Secure page, opened by the payment's own secret."""
    path = reverse("sandbox:three_d_secure", kwargs={"client_secret": payment.client_secret})
    return BuyerAction(
        id=payment.reference.replace("sbp_", "sba_", 1),
        client_secret=payment.client_secret,
        publishable_key=publishable_key_of(payment.environment_id),
        redirect_url=f"{settings.BASE_URL}{path}",
    )


def refund_state(refund: SandboxRefund) -> RefundState:
    """Return a refund as the contract has it."""
    return RefundState(
        reference=refund.reference,
        status=str(refund.status),
        money=Money(refund.amount, refund.currency),
        operation_id=refund.operation_id,
        environment_id=refund.environment_id,
        payment_reference=refund.payment_id,
        failure_reason=refund.failure_reason,
        reason=refund.reason,
        created_at=refund.created_at,
    )


def dispute_state(dispute: SandboxDispute) -> DisputeState:
    """Return a dispute as the contract has it."""
    return DisputeState(
        reference=dispute.reference,
        status=str(dispute.status),
        money=Money(dispute.amount, dispute.currency),
        withdrawn_amount=dispute.withdrawn_amount,
        environment_id=dispute.environment_id,
        payment_reference=dispute.payment_id,
        reason=dispute.reason,
        case_type=dispute.case_type,
        evidence_due_at=dispute.evidence_due_at,
        has_evidence=dispute.evidence_submission_count > 0,
        evidence_submission_count=dispute.evidence_submission_count,
        is_evidence_past_due=dispute.is_past_due(timezone.now()),
        created_at=dispute.created_at,
    )


def payout_state(payout: SandboxPayout) -> PayoutState:
    """Return a payout as the contract has it."""
    return PayoutState(
        reference=payout.reference,
        status=str(payout.status),
        money=Money(payout.amount, payout.currency),
        environment_id=payout.environment_id,
        is_automatic=payout.is_automatic,
        arrives_at=payout.arrives_at,
        failure_code=payout.failure_code,
        failure_message=payout.failure_message,
        description=payout.description,
        created_at=payout.created_at,
    )


def movement_state(movement: SandboxBalanceTransaction) -> BalanceTransactionState:
    """Return a movement of the balance as the contract has it."""
    return BalanceTransactionState(
        reference=movement.reference,
        type=movement.type,
        status=str(movement.status),
        amount=movement.amount,
        fee_amount=movement.fee_amount,
        net_amount=movement.net_amount,
        currency=movement.currency,
        environment_id=movement.environment_id,
        occurred_at=movement.occurred_at,
        available_at=movement.available_at,
        source_kind=movement.source_kind,
        source_reference=movement.source_reference,
        description=movement.description,
    )


def payment_snapshot(payment: SandboxPayment) -> dict[str, Any]:
    """Return a payment as a notice shows it: a picture of one moment, with no secret in it."""
    return {
        "reference": payment.reference,
        "status": str(payment.status),
        "amount": payment.amount,
        "currency": payment.currency,
        "authorized_amount": payment.authorized_amount,
        "captured_amount": payment.captured_amount,
        "refunded_amount": payment.refunded_amount,
        "error_code": payment.error_code,
        "cancellation_reason": payment.cancellation_reason,
        "metadata": {
            "operation_id": payment.operation_id,
            "payment_intent_id": payment.payment_intent_id,
            "order_id": payment.order_id,
        },
    }


def refund_snapshot(refund: SandboxRefund) -> dict[str, Any]:
    """Return a refund as a notice shows it."""
    return {
        "reference": refund.reference,
        "payment_reference": refund.payment_id,
        "status": str(refund.status),
        "amount": refund.amount,
        "currency": refund.currency,
        "failure_reason": refund.failure_reason,
        "metadata": {"operation_id": refund.operation_id, "refund_id": refund.refund_id},
    }


def dispute_snapshot(dispute: SandboxDispute) -> dict[str, Any]:
    """Return a dispute as a notice shows it."""
    return {
        "reference": dispute.reference,
        "payment_reference": dispute.payment_id,
        "status": str(dispute.status),
        "amount": dispute.amount,
        "currency": dispute.currency,
        "withdrawn_amount": dispute.withdrawn_amount,
        "reason": dispute.reason,
        "case_type": dispute.case_type,
    }


def payout_snapshot(payout: SandboxPayout) -> dict[str, Any]:
    """Return a payout as a notice shows it."""
    return {
        "reference": payout.reference,
        "status": str(payout.status),
        "amount": payout.amount,
        "currency": payout.currency,
        "is_automatic": payout.is_automatic,
        "failure_code": payout.failure_code,
    }
