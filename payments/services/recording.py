"""
Learning what happened to a payment. Answers, notices and the sweep all come through :func:`record_payment`, so that
whoever learns a fact first books it, once, and everybody later finds it booked.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.celery import after_commit
from flint.errors import NotFound
from flint.events import services as events
from orders import ledger
from orders.models import Order
from orders.services.discounts import redeem_discounts
from payments import tasks
from payments.messages.queueing import queue_late_failure, queue_receipt
from payments.models import PaymentIntent, PaymentOperation
from payments.models.attempts import AttemptStatus
from payments.models.intents import UNDER_WAY
from payments.processors.base import DoesNotFit, PaymentState
from payments.services.attempts import reassess
from payments.services.invoices.telling import tell_of_attempt, tell_of_waiting
from payments.services.keeping import keep_card
from payments.services.links.capacity import count_completion
from payments.services.payers import link_payer
from payments.services.sessions.ending import complete_session
from payments.services.writing_off import write_off


def record_payment(
    state: PaymentState, *, actor: Actor, at: datetime | None = None, also: Callable[[], None] | None = None
) -> PaymentOperation:
    """
    Apply a payment's state at the processor to its leg, forward only; a state already known changes nothing.

    ``also`` runs in the same transaction, for the caller's own mark that the fact is dealt with.

    :raises DoesNotFit: if the state names no operation of the actor's environment, or another currency or leg.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, leg, operation = _locked(state.operation_id, actor)
        _refuse_foreign(state, leg, operation)
        _apply(order, leg, operation, state, actor, at)
        if also:
            also()
    return operation


def record_refusal(operation_id: str, *, code: str, message: str, actor: Actor, at: datetime | None = None) -> None:
    """
    Book that a call was not carried out: a confirm declines its leg, a capture or cancel leaves it as it was.

    Returns quietly if the operation has been answered in the meantime.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, leg, operation = _locked(operation_id, actor)
        if not operation.is_unanswered:
            return
        _answer(operation, result="refused", at=at)
        operation.error_code, operation.error_message = code, message
        operation.save()
        if operation.kind == "confirm" and leg.status in UNDER_WAY:
            _decline(order, leg, operation, code, message, actor, at)
            was_active = order.active_attempt_id
            _reassess(order, operation, actor, at)
            _end_checkout(order, operation, 0, was_active=was_active, actor=actor, at=at)
            order.order_revision += 1
            order.save()


def _locked(operation_id: str, actor: Actor) -> tuple[Order, PaymentIntent, PaymentOperation]:
    of_operation = PaymentOperation.objects.of(actor).filter(id=operation_id).values("payment_intent__order_id")
    try:
        order = Order.objects.behind(actor).lock(id__in=of_operation)
    except NotFound:
        raise DoesNotFit(f"no operation {operation_id or '(none named)'} in {actor.environment_id}") from None
    operation = PaymentOperation.objects.select_related("payment_intent", "attempt").get(id=operation_id)
    return order, operation.payment_intent, operation


def _refuse_foreign(state: PaymentState, leg: PaymentIntent, operation: PaymentOperation) -> None:
    if state.environment_id != leg.environment_id or state.payment_intent_id != leg.id:
        raise DoesNotFit(f"{state.reference} names another environment or leg")
    if state.money.currency != leg.currency:
        raise DoesNotFit(f"{state.reference} is in {state.money.currency}, the leg in {leg.currency}")
    if operation.reference and operation.reference != state.reference:
        raise DoesNotFit(f"{state.reference} is not the payment {operation.reference} that this operation made")


def _apply(
    order: Order, leg: PaymentIntent, operation: PaymentOperation, state: PaymentState, actor: Actor, at: datetime
) -> None:
    # Only the newest try speaks for the leg, but money speaks for itself: an old try that captured is booked too.
    speaks = not leg.operations.filter(kind="confirm", position__gt=operation.position).exists()
    known = (order.event_count, order.active_attempt_id)
    was_waiting = operation.result == "processing"
    operation.reference = state.reference
    if operation.is_unanswered:
        _answer(operation, result=state.status, at=at)
    operation.result = state.status
    operation.ask_buyer(state.action if state.status == "requires_action" else None)
    if state.error_code:
        operation.error_code, operation.error_message = state.error_code, state.error_message
    _remember_source(leg, state)

    was_final = leg.is_final
    came_in = state.captured_amount - operation.captured_amount
    if came_in > 0:
        _settle(order, leg, operation, came_in, state, actor, at)
    elif leg.is_final or not speaks:
        pass
    elif state.status == "requires_capture":
        _authorize(order, leg, operation, state, actor, at)
    elif state.status == "canceled" and leg.status in (*UNDER_WAY, "requires_capture"):
        _let_go(order, leg, operation, state, actor, at)
    elif state.status == "requires_payment_method" and leg.status in UNDER_WAY:
        _decline(order, leg, operation, state.error_code or "payment_failed", state.error_message, actor, at)
        if was_waiting:
            queue_late_failure(order, leg, operation)
    elif state.status == "requires_action" and leg.status in UNDER_WAY:
        if leg.status != "requires_action":
            leg.require_action()
            events.record(order, "payment.requires_action", subject=leg, actor=actor, amount=leg.amount)
    elif state.status == "processing" and leg.status in UNDER_WAY:
        leg.wait()
        if not was_waiting:
            events.record(order, "payment.processing", subject=leg, actor=actor, amount=leg.amount)
            tell_of_waiting(order, operation.attempt, leg, actor=actor)
    keep_card(leg, state, actor=actor)
    operation.save()
    leg.save()
    if leg.is_final and not was_final:
        # A capture or cancel still without its answer has been answered by the payment itself; another try has not.
        unanswered = leg.operations.filter(answered_at__isnull=True).exclude(kind="confirm")
        unanswered.update(answered_at=at, result=state.status)
    _reassess(order, operation, actor, at)
    if came_in > 0:
        count_completion(order)
        queue_receipt(order, operation)
    if came_in > 0 and leg.source_type == "card":
        link_payer(order, operation.attempt, actor=actor)
    _end_checkout(order, operation, came_in, was_active=known[1], actor=actor, at=at)
    write_off(order, leg, actor=actor, at=at)
    if (order.event_count, order.active_attempt_id) != known:
        order.order_revision += 1
        order.save()


def _reassess(order: Order, operation: PaymentOperation, actor: Actor, at: datetime) -> None:
    before = operation.attempt.status if operation.attempt else ""
    reassess(order, operation.attempt, at=at)
    tell_of_attempt(order, operation.attempt, before=before, actor=actor)


def _end_checkout(
    order: Order, operation: PaymentOperation, came_in: int, *, was_active: str, actor: Actor, at: datetime
) -> None:
    """
    End the checkout of a locked order on which money came in, once no attempt is left that may bring the rest.

    The last leg of an attempt may well bring nothing where an earlier one did.
    """
    has_just_ended = bool(was_active) and was_active == operation.attempt_id and not order.is_collecting
    is_partly_paid = has_just_ended and operation.attempt.status == AttemptStatus.PARTIALLY_SUCCEEDED
    if (came_in > 0 or is_partly_paid) and not (order.outstanding_amount and order.is_collecting):
        complete_session(order, attempt=operation.attempt, actor=actor, at=at)


def _answer(operation: PaymentOperation, *, result: str, at: datetime) -> None:
    operation.answered_at = at
    operation.result = result


def _remember_source(leg: PaymentIntent, state: PaymentState) -> None:
    if state.source is None:
        return
    leg.source_type = state.source.type
    leg.source_brand = state.source.brand
    leg.source_last4 = state.source.last4
    leg.source_bank_name = state.source.bank_name
    leg.source_account_type = state.source.account_type


def _settle(
    order: Order,
    leg: PaymentIntent,
    operation: PaymentOperation,
    came_in: int,
    state: PaymentState,
    actor: Actor,
    at: datetime,
) -> None:
    """Book money that came in, whatever the order or the leg had come to in the meantime."""
    money = order.money(came_in)
    tip = _tip_of(order, leg, came_in)
    is_first = not operation.captured_amount
    operation.captured_amount += came_in
    leg.settle(money, tip_amount=tip, authorized_amount=state.authorized_amount, at=at)
    was_owed = order.outstanding_amount
    order.settle(money, tip_amount=tip)
    redeem_discounts(order)
    event = events.record(
        order,
        "payment.settled",
        subject=leg,
        actor=actor,
        amount=came_in,
        payment_status=order.payment_status,
        surplus_amount=max(came_in - was_owed, 0),
        released_amount=leg.released_amount,
    )
    # A payment is taken once; should more come in through the same one, the event that told of it is the source.
    source = operation.id if is_first else event.id
    ledger.post(order, event, [ledger.Posting("capture", came_in, source)])


def _tip_of(order: Order, leg: PaymentIntent, came_in: int) -> int:
    """
    Return the tip in money that came in: the leg's share of it, or all that nothing but the tip is left to be.

    So shares that were rounded down, or legs made before the tip was asked for, leave none of it behind.
    """
    captured = leg.captured_amount + came_in
    share = leg.tip_amount if captured >= leg.amount else leg.tip_amount * captured // leg.amount
    unsettled = order.tip_amount - order.settled_tip_amount
    only_tip = came_in - max(order.balance_amount - unsettled, 0)
    return max(min(max(share - leg.captured_tip_amount, only_tip), unsettled), 0)


def _authorize(
    order: Order, leg: PaymentIntent, operation: PaymentOperation, state: PaymentState, actor: Actor, at: datetime
) -> None:
    if leg.status == "requires_capture":
        return
    if operation.attempt is None or not operation.attempt.is_open:
        # A hold for a try that was given up; nobody waits for it, so it is let go at the processor first.
        after_commit(tasks.release_stray_hold, operation_id=operation.id, environment_id=operation.environment_id)
        return
    leg.authorize(order.money(state.authorized_amount), at=at, expires_at=state.authorization_expires_at)
    events.record(order, "payment.authorized", subject=leg, actor=actor, amount=state.authorized_amount)


def _let_go(
    order: Order, leg: PaymentIntent, operation: PaymentOperation, state: PaymentState, actor: Actor, at: datetime
) -> None:
    held = leg.status == "requires_capture"
    if held and state.cancellation_reason == "authorization_expired":
        leg.expire()
        events.record(order, "payment.authorization_expired", subject=leg, actor=actor, amount=leg.authorized_amount)
        return
    leg.cancel(reason=_cancellation_reason(leg, state))
    type = "payment.authorization_canceled" if held else "payment.canceled"
    events.record(order, type, subject=leg, actor=actor, amount=leg.amount, reason=leg.cancellation_reason)


def _cancellation_reason(leg: PaymentIntent, state: PaymentState) -> str:
    asked = leg.operations.filter(kind="cancel").order_by("-position").values_list("reason", flat=True).first()
    return asked or state.cancellation_reason or "payment_canceled"


def _decline(
    order: Order,
    leg: PaymentIntent,
    operation: PaymentOperation,
    code: str,
    message: str,
    actor: Actor,
    at: datetime,
) -> None:
    operation.error_code, operation.error_message = code, message
    operation.save()
    leg.decline(code=code, message=message, at=at)
    if leg.invoice_id and not leg.is_staged:
        # It was made for this one try of an invoice; the next one makes its own.
        leg.cancel(reason="invoice_payment_failed")
    leg.save()
    events.record(order, "payment.failed", subject=leg, actor=actor, amount=leg.amount, code=code)
