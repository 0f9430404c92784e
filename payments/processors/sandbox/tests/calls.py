"""Short ways to call the network, so that a test says only what it is about."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection

from flint.ids import new_id
from flint.money import Money
from payments.processors.base import PaymentRequest, PaymentState, RefundRequest, RefundState
from payments.processors.sandbox.adapter import SandboxProcessor

ENVIRONMENT = "env_01TEST"
OTHER_ENVIRONMENT = "env_02TEST"

network = SandboxProcessor()


def eur(amount: int) -> Money:
    """Euro cents."""
    return Money(amount, "EUR")


def payment_request(token: str = "pm_card_visa", amount: int = 10_000, **changes) -> PaymentRequest:
    """A wish to be paid, with a fresh operation id."""
    return PaymentRequest(
        **{
            "operation_id": new_id("pi"),
            "payment_intent_id": new_id("pi"),
            "environment_id": ENVIRONMENT,
            "order_id": "ord_1",
            "money": eur(amount),
            "capture_method": "automatic",
            "token": token,
            **changes,
        }
    )


def pay(token: str = "pm_card_visa", amount: int = 10_000, **changes) -> PaymentState:
    """Make one payment."""
    return network.confirm(payment_request(token, amount, **changes))


def hold(token: str = "pm_card_visa", amount: int = 10_000, **changes) -> PaymentState:
    """Make one payment that is held and not taken."""
    return pay(token, amount, capture_method="manual", **changes)


def capture(payment: PaymentState, amount: int, operation_id: str = "") -> PaymentState:
    """Take some of a hold."""
    return network.capture(
        environment_id=payment.environment_id,
        reference=payment.reference,
        operation_id=operation_id or new_id("cap"),
        money=eur(amount),
    )


def cancel(payment: PaymentState, operation_id: str = "", reason: str = "abandoned") -> PaymentState:
    """Let a payment go."""
    return network.cancel(
        environment_id=payment.environment_id,
        reference=payment.reference,
        operation_id=operation_id or new_id("can"),
        reason=reason,
    )


def refund_request(payment: PaymentState, amount: int, **changes) -> RefundRequest:
    """A wish to give money back, with a fresh operation id."""
    return RefundRequest(
        **{
            "operation_id": new_id("ref"),
            "refund_id": new_id("ref"),
            "environment_id": payment.environment_id,
            "payment_reference": payment.reference,
            "money": eur(amount),
            **changes,
        }
    )


def give_back(payment: PaymentState, amount: int, **changes) -> RefundState:
    """Refund some of a payment."""
    return network.refund(refund_request(payment, amount, **changes))


def see(payment: PaymentState) -> PaymentState:
    """Ask for a payment as it is now."""
    return network.retrieve_payment(environment_id=payment.environment_id, reference=payment.reference)


def see_refund(refund: RefundState) -> RefundState:
    """Ask for a refund as it is now."""
    return network.retrieve_refund(environment_id=refund.environment_id, reference=refund.reference)


def at_once(call, times: int) -> list:
    """Make the same call from several threads, released together, and return every answer or refusal."""
    barrier = Barrier(times)

    def one(_):
        try:
            connection.ensure_connection()
            barrier.wait()
            return call()
        except Exception as error:  # noqa: BLE001
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(one, range(times)))
