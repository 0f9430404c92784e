"""The network's rows in the words of the processor contract, and as the plain snapshots that notices carry."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from flint.money import Money
from payments.processors.base import BuyerAction, PaymentState, RefundState, SourceSummary
from payments.processors.sandbox.accounts import publishable_key_of
from payments.processors.sandbox.models import SandboxPayment, SandboxRefund


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
        ),
        cancellation_reason=payment.cancellation_reason,
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
