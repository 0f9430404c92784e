"""
Capturing and cancelling: the processor does it first, then it is so here.

The wish is written down as an operation, the processor is called outside any transaction, and what the payment then
shows is recorded. A refusal is looked at, not believed: somebody else may have done the same in the meantime.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput, Unavailable
from flint.events import services as events
from orders import collecting
from orders.models import Order
from payments.models import PaymentAttempt, PaymentIntent, PaymentOperation
from payments.models.intents import CONFIRMABLE
from payments.processors import processor_of
from payments.processors.base import NoAnswer, PaymentState, Refused, Unreachable
from payments.services.asking import ask_about_attempt, ask_about_operation, newest_confirm, payment_behind
from payments.services.reaching import lock_order
from payments.services.recording import record_payment, record_refusal
from payments.services.starting import IdempotencyKeyReused, refuse_ended
from payments.services.writing_off import write_off


class InvalidStatusForCapture(Conflict):
    code = "INVALID_STATUS_FOR_CAPTURE"
    message = "Nothing is held by this payment intent that could be captured."


class InvalidCaptureAmount(InvalidInput):
    code = "INVALID_CAPTURE_AMOUNT"
    message = "A capture takes at least one minor unit."


class CaptureCurrencyMismatch(InvalidInput):
    code = "CAPTURE_CURRENCY_MISMATCH"
    message = "A capture is made in the currency of the hold."


class CaptureAmountExceedsCapturable(InvalidInput):
    code = "CAPTURE_AMOUNT_EXCEEDS_CAPTURABLE"
    message = "The hold is smaller than this amount."


class PaymentAuthorizationExpired(Conflict):
    code = "PAYMENT_AUTHORIZATION_EXPIRED"
    message = "The hold has run out. Collect the money with a new payment."


class PaymentAuthorizationNotCapturable(Conflict):
    code = "PAYMENT_AUTHORIZATION_NOT_CAPTURABLE"
    message = "The processor did not let the hold be captured."


class PaymentAttemptIdRequired(InvalidInput):
    code = "PAYMENT_ATTEMPT_ID_REQUIRED"
    message = "The payment intent belongs to an open attempt. Send its 'order_payment_attempt_id'."


class PaymentAttemptMismatch(Conflict):
    code = "PAYMENT_ATTEMPT_MISMATCH"
    message = "The payment intent belongs to another attempt."


class PaymentAttemptStillProcessing(Conflict):
    code = "PAYMENT_ATTEMPT_STILL_PROCESSING"
    message = "The payment is under way at the processor and cannot be stopped. Wait for its outcome."
    retryable = True


class PaymentAttemptNotCancelable(Conflict):
    code = "PAYMENT_ATTEMPT_NOT_CANCELABLE"
    message = "The payment attempt has ended."


class PaymentIntentNotCancelable(Conflict):
    code = "PAYMENT_INTENT_NOT_CANCELABLE"
    message = "The processor did not let the payment be canceled."


class PaymentOperationInProgress(Conflict):
    code = "PAYMENT_OPERATION_IN_PROGRESS"
    message = "Another operation on this payment intent is waiting for its outcome."
    retryable = True


class PaymentProcessorUnavailable(Unavailable):
    code = "PAYMENT_PROCESSOR_UNAVAILABLE"
    message = "The payment processor could not be reached. Nothing was done; try again."


SHOWN = ("order", "environment")
"""What a payment intent is shown with."""


@dataclass(frozen=True, slots=True)
class Closed:
    """What a capture or cancel leaves behind, all as it is now."""

    order: Order
    payment_intent: PaymentIntent | None
    attempt: PaymentAttempt | None


def capture(
    *, order_id: str | None, payment_intent_id: str, data: Mapping[str, Any], actor: Actor, at: datetime | None = None
) -> Closed:
    """
    Take all or part of a hold, once; the rest is let go. Without an order's id it is a standalone payment intent's.

    A lost answer leaves the hold as it is and the capture open; the sweep learns what became of it.

    :raises InvalidStatusForCapture, PaymentAuthorizationExpired, PaymentAuthorizationNotCapturable: by the hold.
    :raises InvalidCaptureAmount, CaptureCurrencyMismatch, CaptureAmountExceedsCapturable: by the amount.
    :raises PaymentAttemptIdRequired, PaymentAttemptMismatch, PaymentOperationInProgress: by what else is under way.
    """
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        order, leg = _locked(order_id, payment_intent_id, actor)
        operation = _repeated(leg.operations, actor)
        is_new = operation is None
        has_run_out = is_new and not leg.can_be_captured(at)
        if is_new:
            if leg.status != "requires_capture":
                raise InvalidStatusForCapture(current_status=leg.status)
            _refuse_wrong_attempt(order, data.get("order_payment_attempt_id"))
            money = data.get("amount_money", order.money(leg.capturable_amount))
            if money.currency != leg.currency:
                raise CaptureCurrencyMismatch(param="amount_money.currency")
            if money.amount < 1:
                raise InvalidCaptureAmount(param="amount_money.amount")
            if money.amount > leg.capturable_amount:
                raise CaptureAmountExceedsCapturable(
                    param="amount_money", capturable_money=order.money(leg.capturable_amount)
                )
            if not has_run_out:
                operation = _write_down(order, leg, "capture", money.amount, "", actor)
    if has_run_out:
        confirm = newest_confirm(leg)
        ask_about_operation(confirm, actor=actor, at=at)
        found = _now(order.id, leg.id, confirm.attempt_id, actor)
        if found.payment_intent.status == "succeeded":
            return found
        raise PaymentAuthorizationExpired(current_status=found.payment_intent.status)
    if not is_new:
        ask_about_operation(operation, actor=actor)
        return _now(order.id, leg.id, operation.attempt_id, actor)

    def call() -> PaymentState:
        return processor_of(leg.processor).capture(
            environment_id=leg.environment_id,
            reference=payment_behind(operation).reference,
            operation_id=operation.id,
            money=operation.money,
        )

    if not _carry_out(operation, call, actor=actor):
        found = _now(order.id, leg.id, operation.attempt_id, actor)
        if found.payment_intent.status == "expired":
            raise PaymentAuthorizationExpired(current_status="expired")
        if found.payment_intent.status != "succeeded":
            raise PaymentAuthorizationNotCapturable(current_status=found.payment_intent.status)
    return _now(order.id, leg.id, operation.attempt_id, actor)


def cancel_leg(*, order_id: str | None, payment_intent_id: str, data: Mapping[str, Any], actor: Actor) -> Closed:
    """
    Let a leg go: a staged one here, a hold or a waiting one at the processor first.

    Without an order's id it is a standalone payment intent.

    :raises OrderPaymentLegAlreadySettled, PaymentAlreadyCanceled, CannotCancelExpiredPayment: if it has ended.
    :raises PaymentAttemptStillProcessing, PaymentIntentNotCancelable: if the processor will not stop it.
    :raises PaymentAttemptIdRequired, PaymentAttemptMismatch, PaymentOperationInProgress: by what else is under way.
    """
    reason = data.get("cancellation_reason", "")
    with transaction.atomic(durable=True):
        order, leg = _locked(order_id, payment_intent_id, actor)
        collecting.refuse_former_buyer(order, actor)
        operation = _repeated(leg.operations, actor)
        is_new = operation is None
        if is_new:
            refuse_ended(leg)
            if leg.status in CONFIRMABLE:
                _cancel_here(order, leg, reason or "requested_by_customer", actor)
            else:
                _refuse_wrong_attempt(order, data.get("order_payment_attempt_id"))
                operation = _begin_cancel(order, leg, reason, actor)
    if operation is None:
        return _now(order.id, leg.id, None, actor)
    if not is_new:
        ask_about_operation(operation, actor=actor)
    elif not _carry_out(operation, _cancel_call(operation), actor=actor):
        found = _now(order.id, leg.id, operation.attempt_id, actor)
        refuse_ended_otherwise(found.payment_intent)
    return _now(order.id, leg.id, operation.attempt_id, actor)


def cancel_attempt(*, order_id: str, attempt_id: str, data: Mapping[str, Any], actor: Actor) -> Closed:
    """
    End an open attempt: its holds and waiting legs are canceled at the processor, what has settled stays.

    :raises PaymentAttemptNotFound: if it is not this order's. :raises PaymentAttemptNotCancelable: if it has ended.
    :raises PaymentAttemptStillProcessing: if a leg is under way and cannot be stopped; nothing is canceled then.
    """
    with transaction.atomic(durable=True):
        order = Order.objects.of(actor).lock(id=order_id)
        collecting.refuse_former_buyer(order, actor)
        attempt = PaymentAttempt.objects.of(actor).find(id=attempt_id, order_id=order.id)
        repeated = _repeated(attempt.operations, actor)
        if not attempt.is_open and not repeated:
            raise PaymentAttemptNotCancelable(
                order_payment_attempt_id=attempt.id, payment_attempt_status=attempt.status, is_resumable=False
            )
        waiting = [
            operation.payment_intent
            for operation in attempt.operations.filter(kind="confirm").select_related("payment_intent")
            if not operation.payment_intent.is_final and operation.payment_intent.status not in CONFIRMABLE
        ]
        reason = data.get("cancellation_reason", "")
        # A repeat makes the calls that did not get through the first time, and no other again.
        begun = attempt.operations.filter(command_key=actor.command.key).exclude(result="refused") if repeated else ()
        begun = {operation.payment_intent_id for operation in begun}
        calls = [_begin_cancel(order, leg, reason, actor) for leg in waiting if leg.id not in begun]
    if repeated:
        ask_about_attempt(attempt.id, actor=actor)
    unreached = None
    for operation in calls:
        try:
            _carry_out(operation, _cancel_call(operation), actor=actor)
        except PaymentProcessorUnavailable as refusal:
            # The other legs were to be canceled as well, and each is written down already.
            unreached = refusal
    if unreached:
        raise unreached
    found = _now(order.id, None, attempt.id, actor)
    if found.attempt.is_open:
        raise PaymentAttemptStillProcessing(
            order_payment_attempt_id=attempt.id, payment_attempt_status=found.attempt.status
        )
    if found.attempt.status == "succeeded":
        raise PaymentAttemptNotCancelable(
            "The payment went through before it could be canceled. Refund it instead.",
            order_payment_attempt_id=attempt.id,
            payment_attempt_status="succeeded",
            is_resumable=False,
        )
    return found


def release_stray_hold(operation_id: str, *, actor: Actor) -> None:
    """Let go of a hold that a given-up try turned out to have placed. Nobody is waiting for it."""
    confirm = PaymentOperation.objects.of(actor).select_related("payment_intent").get(id=operation_id)
    with transaction.atomic(durable=True):
        order, leg = _locked(confirm.payment_intent.order_id, confirm.payment_intent_id, actor)
        confirm = leg.operations.get(id=operation_id)
        if confirm.result != "requires_capture" or leg.operations.filter(answered_at__isnull=True).exists():
            return
        operation = _write_down(order, leg, "cancel", confirm.amount, "abandoned", actor, attempt_id=None)
    if not _carry_out(operation, _cancel_call(operation, confirm=confirm), actor=actor):
        ask_about_operation(confirm, actor=actor)


def refuse_ended_otherwise(leg: PaymentIntent) -> None:
    """Raise what a cancel that was refused met instead, unless the leg was canceled after all."""
    if leg.status == "canceled":
        return
    refuse_ended(leg)
    if leg.status == "processing":
        raise PaymentAttemptStillProcessing(current_status=leg.status)
    raise PaymentIntentNotCancelable(current_status=leg.status)


def _locked(order_id: str | None, payment_intent_id: str, actor: Actor) -> tuple[Order, PaymentIntent]:
    order = lock_order(order_id, payment_intent_id, actor=actor)
    leg = PaymentIntent.objects.of(actor).find(id=payment_intent_id, order_id=order.id)
    return order, leg


def _repeated(operations: QuerySet[PaymentOperation], actor: Actor) -> PaymentOperation | None:
    """
    Return what an earlier run of the same command wrote down, if it got that far.

    What was refused, or never got through, did nothing; its caller was told so, and the same key may try again.
    """
    if actor.command is None:
        return None
    of_command = operations.exclude(kind="confirm").filter(command_key=actor.command.key).order_by("id")
    if any(operation.command_digest != actor.command.digest for operation in of_command):
        raise IdempotencyKeyReused
    return of_command.exclude(result="refused").first()


def _refuse_wrong_attempt(order: Order, attempt_id: str | None) -> None:
    if not order.active_attempt_id or order.is_hidden:
        return
    attempt = PaymentAttempt.objects.get(id=order.active_attempt_id)
    facts = {"order_payment_attempt_id": attempt.id, "payment_attempt_status": attempt.status}
    if attempt_id is None:
        raise PaymentAttemptIdRequired(param="order_payment_attempt_id", **facts)
    if attempt_id != attempt.id:
        raise PaymentAttemptMismatch(param="order_payment_attempt_id", **facts)


def _begin_cancel(order: Order, leg: PaymentIntent, reason: str, actor: Actor) -> PaymentOperation:
    if leg.status == "processing":
        facts = {} if order.is_hidden else {"order_payment_attempt_id": order.active_attempt_id}
        raise PaymentAttemptStillProcessing(payment_attempt_status="processing", **facts)
    return _write_down(order, leg, "cancel", leg.amount, reason or "requested_by_customer", actor)


def _write_down(
    order: Order, leg: PaymentIntent, kind: str, amount: int, reason: str, actor: Actor, **columns: Any
) -> PaymentOperation:
    if leg.operations.filter(answered_at__isnull=True).exists():
        raise PaymentOperationInProgress(current_status=leg.status)
    operation = PaymentOperation(
        environment_id=order.environment_id,
        payment_intent=leg,
        kind=kind,
        amount=amount,
        currency=leg.currency,
        reason=reason,
        position=leg.operations.count(),
        command_key=actor.command.key if actor.command else "",
        command_digest=actor.command.digest if actor.command else "",
        **({"attempt_id": order.active_attempt_id or None} | columns),
    )
    operation.save(force_insert=True)
    return operation


def _cancel_here(order: Order, leg: PaymentIntent, reason: str, actor: Actor) -> None:
    """Cancel a leg that no processor is working on."""
    leg.cancel(reason=reason)
    leg.save()
    events.record(order, "payment.canceled", subject=leg, actor=actor, amount=leg.amount, reason=reason)
    write_off(order, leg, actor=actor, at=timezone.now())
    order.order_revision += 1
    order.save()


def _cancel_call(operation: PaymentOperation, confirm: PaymentOperation | None = None):
    def call() -> PaymentState:
        leg = operation.payment_intent
        return processor_of(leg.processor).cancel(
            environment_id=leg.environment_id,
            reference=(confirm or payment_behind(operation)).reference,
            operation_id=operation.id,
            reason=operation.reason,
        )

    return call


def _carry_out(operation: PaymentOperation, call, *, actor: Actor) -> bool:
    """
    Make a call and record what the payment shows. Return False if the processor refused it.

    :raises PaymentProcessorUnavailable: if it never got through; the operation is closed as not done.
    """
    try:
        state = call()
    except Refused as refusal:
        ask_about_operation(operation, actor=actor)
        record_refusal(operation.id, code=refusal.code, message=refusal.message, actor=actor)
        return False
    except Unreachable:
        record_refusal(operation.id, code="unreachable", message="Not reached.", actor=actor)
        raise PaymentProcessorUnavailable from None
    except NoAnswer:
        return True
    record_payment(state, actor=actor)
    # A payment that neither settled nor ended by it (a cancel that came to nothing) leaves the call answered too.
    record_refusal(operation.id, code="invalid_state", message="It changed nothing.", actor=actor)
    return True


def _now(order_id: str, leg_id: str | None, attempt_id: str | None, actor: Actor) -> Closed:
    return Closed(
        order=Order.objects.behind(actor).find(id=order_id),
        payment_intent=PaymentIntent.objects.of(actor).select_related(*SHOWN).find(id=leg_id) if leg_id else None,
        attempt=PaymentAttempt.objects.of(actor).find(id=attempt_id) if attempt_id else None,
    )
