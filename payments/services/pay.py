"""Paying an order: write it down, call the processor, record the answer. Each step survives the loss of the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flint import actors
from flint.actors import Actor
from flint.errors import Conflict
from orders.collecting import OrderPaymentAttemptActive
from orders.models import Order
from orders.services.editing import OrderChangedRefreshRequired
from payments.models import PaymentAttempt, PaymentIntent
from payments.processors import processor_of
from payments.processors.base import NoAnswer, PaymentRequest, Refused, Unreachable
from payments.services.asking import ask_about_attempt
from payments.services.keeping import customer_reference_of
from payments.services.options import refuse_unfit_to_keep, refuse_unwanted_options
from payments.services.recording import record_payment, record_refusal
from payments.services.sessions.admitting import refuse_restricted
from payments.services.starting import Started, start_payment


class PaymentAttemptNotResumable(Conflict):
    code = "PAYMENT_ATTEMPT_NOT_RESUMABLE"
    message = "The payment attempt has ended. Start a new payment."


@dataclass(frozen=True, slots=True)
class Paid:
    """What a pay call leaves behind: the order and the attempt, both as they are now."""

    order: Order
    attempt: PaymentAttempt


def pay(*, order_id: str, data: Mapping[str, Any], actor: Actor) -> Paid:
    """
    Pay an order, or go on paying it. A decline is an ordinary result: the attempt is ``failed``.

    An answer that is lost leaves the attempt ``processing``; the sweep asks for it. An attempt in the way is asked
    about once before this one is refused, since what it waited for may have happened.

    :raises OrderPaymentAttemptActive: if another attempt is open and stays so. Else as :func:`start_payment`.
    :raises PaymentAttemptNotResumable, PaymentAttemptNotFound: on ``resume``.
    :raises CheckoutSessionNotOpen, CheckoutRecoveryRestricted, CheckoutRecoveryAttemptMismatch: if the buyer's session
        has ended, and allows no more than to go on with one attempt.
    :raises SavePaymentMethodTokenMismatch: if a card is to be saved whose token was not made for it.
    :raises PaymentOptionNotAllowed, PaymentOptionUnknown: if the buyer's session does not take what is paid with.
    """
    refuse_restricted(actor, data["order_payment_attempt_id"] if data["action"] == "resume" else "")
    if data["action"] == "resume":
        return _resume(order_id=order_id, data=data, actor=actor)
    refuse_unwanted_options(data, actor=actor)
    refuse_unfit_to_keep(data, actor=actor)
    return _now(order_id, collect(order_id=order_id, data=data, actor=actor).id, actor)


def collect(*, order_id: str | None, data: Mapping[str, Any], actor: Actor) -> PaymentAttempt:
    """
    Begin a payment, call the processor and record what it answers; return the attempt as it began.

    Arguments and refusals are those of :func:`start_payment`.
    """
    try:
        started = start_payment(order_id=order_id, data=data, actor=actor)
    except OrderPaymentAttemptActive as refusal:
        # It may be somebody else's, which a buyer does not see.
        asking = actors.system(actor.environment_id) if actor.is_buyer else actor
        ask_about_attempt(refusal.facts["order_payment_attempt_id"], actor=asking)
        started = start_payment(order_id=order_id, data=data, actor=actor)
    if started.is_repeat and started.attempt.is_open:
        ask_about_attempt(started.attempt.id, actor=actor)
    make_calls(started, actor=actor)
    return started.attempt


def make_calls(started: Started, *, actor: Actor) -> None:
    """Make the calls of an attempt one after the other, and record each answer before the next."""
    for operation, token in started.calls:
        leg = operation.payment_intent
        request = PaymentRequest(
            operation_id=operation.id,
            payment_intent_id=leg.id,
            environment_id=actor.environment_id,
            order_id=leg.order_id,
            money=leg.money,
            capture_method=leg.capture_method,
            token=token,
            return_url=leg.payment_return_url,
            customer_reference=_customer_reference(leg),
            is_off_session=leg.payment_method is not None and not started.is_attended,
            keep_for=leg.kept_for_id or "",
        )
        try:
            state = processor_of(leg.processor).confirm(request)
        except Refused as refusal:
            record_refusal(operation.id, code=refusal.code, message=refusal.message, actor=actor)
        except Unreachable:
            record_refusal(
                operation.id,
                code="payment_method_temporarily_unavailable",
                message="The payment processor could not be reached. Nothing was charged; try again.",
                actor=actor,
            )
        except NoAnswer:
            continue
        else:
            record_payment(state, actor=actor)


def _customer_reference(leg: PaymentIntent) -> str:
    """Return the processor's name for the customer whose card is paid with, or kept."""
    if leg.payment_method:
        return leg.payment_method.customer_reference
    return customer_reference_of(leg.kept_for_id, leg.processor) if leg.kept_for_id else ""


def _resume(*, order_id: str, data: Mapping[str, Any], actor: Actor) -> Paid:
    order = Order.objects.of(actor).find(id=order_id)
    attempt = PaymentAttempt.objects.of(actor).find(id=data["order_payment_attempt_id"], order_id=order.id)
    expected = data.get("expected_outstanding_money")
    if expected is not None and expected != attempt.expected_outstanding_money:
        raise OrderChangedRefreshRequired(
            "The attempt did not begin with the balance you expect.",
            param="expected_outstanding_money",
            submitted_money=expected,
            current_money=order.outstanding_money,
            expected_attempt_outstanding_money=attempt.expected_outstanding_money,
        )
    if attempt.is_open:
        ask_about_attempt(attempt.id, actor=actor)
    elif attempt.status not in ("succeeded", "partially_succeeded"):
        raise PaymentAttemptNotResumable(
            order_payment_attempt_id=attempt.id, payment_attempt_status=attempt.status, is_resumable=False
        )
    return _now(order.id, attempt.id, actor)


def _now(order_id: str, attempt_id: str, actor: Actor) -> Paid:
    return Paid(
        order=Order.objects.of(actor).find(id=order_id), attempt=PaymentAttempt.objects.of(actor).find(id=attempt_id)
    )
