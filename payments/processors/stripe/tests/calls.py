"""Short ways to call Stripe through the adapter, so that a test says only what it is about."""

from typing import Any

from flint.ids import new_id
from flint.merchants.models import Environment
from flint.money import Money
from flint.testing.stories import eur
from payments.processors.base import PaymentRequest, PaymentState, RefundRequest, RefundState
from payments.processors.stripe.adapter import StripeProcessor

processor = StripeProcessor()


def payment_request(environment: Environment, token: str = "pm_card_visa", **changes: Any) -> PaymentRequest:
    """A wish to be paid 100 euros, with a fresh operation id."""
    return PaymentRequest(
        **{
            "operation_id": new_id("pop"),
            "payment_intent_id": new_id("pi"),
            "environment_id": environment.id,
            "order_id": new_id("ord"),
            "money": eur(10_000),
            "capture_method": "automatic",
            "token": token,
            **changes,
        }
    )


def pay(environment: Environment, token: str = "pm_card_visa", **changes: Any) -> PaymentState:
    """Make one payment."""
    return processor.confirm(payment_request(environment, token, **changes))


def hold(environment: Environment, **changes: Any) -> PaymentState:
    """Make one payment that is held and not taken."""
    return pay(environment, capture_method="manual", **changes)


def capture(payment: PaymentState, money: Money, operation_id: str = "") -> PaymentState:
    """Take some of a hold."""
    return processor.capture(
        environment_id=payment.environment_id,
        reference=payment.reference,
        operation_id=operation_id or new_id("pop"),
        money=money,
    )


def cancel(payment: PaymentState, operation_id: str = "", reason: str = "abandoned") -> PaymentState:
    """Let a payment go."""
    return processor.cancel(
        environment_id=payment.environment_id,
        reference=payment.reference,
        operation_id=operation_id or new_id("pop"),
        reason=reason,
    )


def refund_request(payment: PaymentState, money: Money, **changes: Any) -> RefundRequest:
    """A wish to give money back, with a fresh operation id."""
    return RefundRequest(
        **{
            "operation_id": new_id("rfl"),
            "refund_id": new_id("ref"),
            "environment_id": payment.environment_id,
            "payment_reference": payment.reference,
            "money": money,
            **changes,
        }
    )


def give_back(payment: PaymentState, money: Money, **changes: Any) -> RefundState:
    """Refund some of a payment."""
    return processor.refund(refund_request(payment, money, **changes))


def see(payment: PaymentState) -> PaymentState | None:
    """Ask for a payment as it is now."""
    return processor.retrieve_payment(environment_id=payment.environment_id, reference=payment.reference)


def see_refund(refund: RefundState) -> RefundState | None:
    """Ask for a refund as it is now."""
    return processor.retrieve_refund(environment_id=refund.environment_id, reference=refund.reference)
