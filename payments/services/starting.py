"""Beginning to pay an order: what is checked, frozen and written down before any processor is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.merchants.models import Environment
from flint.money import Money
from invoices.models import Invoice
from orders import collecting
from orders.models import Order
from orders.services.discounts import redeem_discounts
from orders.services.editing import OrderChangedRefreshRequired, OrderClosed
from payments.models import CheckoutSession, PaymentAttempt, PaymentIntent, PaymentOperation
from payments.models.intents import CONFIRMABLE
from payments.processors import processor_of
from payments.services.attempts import FIRST_CHECK_AFTER
from payments.services.invoices.parts import Part, part_of_invoice, part_of_session
from payments.services.links.capacity import CLAIM_FAILED, CLAIM_FAILED_MESSAGE, claim_completion, count_completion
from payments.services.reaching import lock_order
from payments.services.sessions.ending import complete_session, refuse_beside_checkout
from payments.services.sessions.saving import customer_to_keep_for
from payments.services.sources import Source, source_of


class OrderAlreadyPaid(Conflict):
    code = "ORDER_ALREADY_PAID"
    message = "Nothing is outstanding on this order."


class PaymentNotRequired(Conflict):
    code = "PAYMENT_NOT_REQUIRED"
    message = "Nothing is owed on this order. Pay it without a payment source to settle it."


class PaymentLegSelectionRequired(Conflict):
    code = "PAYMENT_LEG_SELECTION_REQUIRED"
    message = "Payment intents of the order wait. Confirm one with action 'confirm_payment_intents', or cancel them."


class PaymentIntentNotPartOfOrder(InvalidInput):
    code = "PAYMENT_INTENT_NOT_PART_OF_ORDER"
    message = "The payment intent does not belong to this order."


class PaymentIntentNotConfirmable(Conflict):
    code = "PAYMENT_OPERATION_IN_PROGRESS"
    message = "The payment intent is already being paid."


class OrderPaymentLegAlreadySettled(Conflict):
    code = "ORDER_PAYMENT_LEG_ALREADY_SETTLED"
    message = "The payment intent has collected its money already."


class PaymentAlreadyCanceled(Conflict):
    code = "PAYMENT_ALREADY_CANCELED"
    message = "The payment intent is canceled. Create another one."


class CannotCancelExpiredPayment(Conflict):
    code = "CANNOT_CANCEL_EXPIRED_PAYMENT"
    message = "The payment intent has expired. Create another one."


class SplitOfDelayedCapture(Conflict):
    code = "ORDER_DELAYED_CAPTURE_SPLIT_PAYMENT_UNSUPPORTED"
    message = "A payment that is captured later cannot be split. Confirm one payment intent alone."


class ProcessorNotConfigured(Conflict):
    code = "PROCESSOR_NOT_CONFIGURED"
    message = "This environment has no payment processor yet. Connect one first."


class IdempotencyKeyReused(Conflict):
    code = "IDEMPOTENCY_KEY_REUSED"
    message = "This Idempotency-Key began another payment of the order. Use a new key for a new wish."


@dataclass(frozen=True, slots=True)
class Started:
    """
    An attempt that is written down, and the calls to make for it: each operation with the token to pay with.

    ``is_attended`` tells that the buyer is there to act, should their bank ask.
    """

    attempt: PaymentAttempt
    calls: Sequence[tuple[PaymentOperation, str]]
    is_repeat: bool = False
    is_attended: bool = True


def start_payment(*, order_id: str | None, data: Mapping[str, Any], actor: Actor) -> Started:
    """
    Freeze an order and write down the attempt, its legs and the calls to come, in one transaction.

    A repeat of the request that began an attempt returns that attempt, with nothing to call. ``data`` is a validated
    pay request with action ``pay`` or ``confirm_payment_intents``; without an order's id, the latter with the one
    standalone payment intent to confirm. Our own callers name the ``invoice_id`` that they collect, and the
    ``invoice_schedule_entry_id`` if it is for one part, and may say when; a buyer's session knows its own.

    :raises OrderNotFound, OrderClosed, OrderPaymentAttemptActive, OrderNotPayable, OrderChangedRefreshRequired: by the
        order's state.
    :raises OrderAlreadyPaid, PaymentNotRequired: by what is owed. :raises PaymentSourceRequired: and the other refusals
        of :func:`~payments.services.sources.source_of`, by what it is to be paid with.
    :raises PaymentLegSelectionRequired, PaymentIntentNotPartOfOrder, PaymentIntentNotConfirmable,
        SplitOfDelayedCapture: by the legs. :raises ProcessorNotConfigured: if there is nobody to call.
    """
    with transaction.atomic(durable=True):
        order = lock_order(order_id, _first_leg(data), actor=actor)
        if repeated := _repeated(order, actor):
            return Started(repeated, (), is_repeat=True)
        collecting.refuse_former_buyer(order, actor)
        if order.status != "open":
            raise OrderClosed("The order is closed; nothing more can be collected on it.", current_status=order.status)
        collecting.refuse_while_collecting(order)
        collecting.refuse_blocked(order)
        session = refuse_beside_checkout(order, actor, invoice_id=data.get("invoice_id"))
        part = _part(order, session, data)
        collecting.refuse_beside_invoice(order, invoice_id=part.invoice_id)
        data = {**data, "buyer_contact": _contact_of(data, session)}
        _refuse_changed(part, data.get("expected_outstanding_money"))
        if data["action"] == "confirm_payment_intents":
            legs = _chosen_legs(order, data, session, part)
        elif part.amount:
            legs = [(_leg_for_all(order, part, session), data.get("payment_source"), "payment_source")]
        else:
            if not claim_completion(order):
                return Started(_refuse_late(order, data, actor), ())
            return Started(_settle_nothing(order, data, actor), ())
        kept_for = customer_to_keep_for(data, session, order, actor)
        processor = processor_name(actor)
        paid_with = [
            (leg, source_of(order, given, param, processor=processor, actor=actor)) for leg, given, param in legs
        ]
        if not claim_completion(order):
            return Started(_refuse_late(order, data, actor), ())
        return _write_down(order, paid_with, {**data, "kept_for": kept_for}, actor, processor, part)


def processor_name(actor: Actor) -> str:
    """
    Return the processor that collects for the actor's environment.

    :raises ProcessorNotConfigured: if none does.
    """
    name = Environment.objects.values_list("processor", flat=True).get(id=actor.environment_id)
    if not name or not processor_of(name).is_configured(environment_id=actor.environment_id):
        raise ProcessorNotConfigured
    return name


def _first_leg(data: Mapping[str, Any]) -> str:
    return data["payment_intents"][0]["payment_intent_id"] if "payment_intents" in data else ""


def _repeated(order: Order, actor: Actor) -> PaymentAttempt | None:
    if actor.command is None:
        return None
    attempt = PaymentAttempt.objects.filter(order_id=order.id, command_key=actor.command.key).first()
    if attempt and attempt.command_digest != actor.command.digest:
        raise IdempotencyKeyReused
    return attempt


def _part(order: Order, session: CheckoutSession | None, data: Mapping[str, Any]) -> Part:
    """Return what is asked for: all that is outstanding, or what the session's or the caller's invoice asks for."""
    at = data.get("at") or timezone.now()
    if session is not None:
        return part_of_session(session, order, at=at)
    if "invoice_id" not in data:
        return Part(order.outstanding_amount, order.currency)
    invoice = Invoice.objects.get(id=data["invoice_id"], order_id=order.id)
    return part_of_invoice(invoice, order, entry_id=data.get("invoice_schedule_entry_id"), at=at)


def _refuse_changed(part: Part, expected: Money | None) -> None:
    if expected is not None and expected != part.money:
        raise OrderChangedRefreshRequired(
            "The order's outstanding balance is not what you expect. Read it again and ask the buyer anew.",
            param="expected_outstanding_money",
            current_money=part.money,
            submitted_money=expected,
        )


def _leg_for_all(order: Order, part: Part, session: CheckoutSession | None) -> PaymentIntent:
    rows = order.payment_intents.filter(is_staged=True, status__in=CONFIRMABLE)
    if part.invoice and session is None:
        # What the buyer prepared in the invoice's checkout keeps nobody from collecting it; it ends with the checkout.
        rows = rows.filter(checkout_session__isnull=True)
    staged = list(rows.order_by("created_at", "id"))
    if staged:
        raise PaymentLegSelectionRequired(
            current_money=part.money,
            selectable_payment_intents=[
                {
                    "payment_intent_id": leg.id,
                    "status": leg.status,
                    "amount_money": leg.money,
                    "tip_money": order.money(leg.tip_amount),
                }
                for leg in staged
            ],
        )
    return PaymentIntent(
        environment_id=order.environment_id,
        order=order,
        invoice=part.invoice,
        amount=part.amount,
        currency=order.currency,
        tip_amount=min(_tip_in(order, part.amount), part.amount),
        checkout_session=session,
        payment_options=(session and session.payment_options) or ["card", "ach_debit"],
        # A buyer who is sent elsewhere to confirm comes back by the session that they pay in.
        payment_return_url=session.return_url if session else "",
    )


def _tip_in(order: Order, amount: int) -> int:
    """Return the share of the tip that is still to come in which an amount of what is outstanding carries."""
    return (order.tip_amount - order.settled_tip_amount) * amount // order.outstanding_amount


def _chosen_legs(
    order: Order, data: Mapping[str, Any], session: CheckoutSession | None, part: Part
) -> list[tuple[PaymentIntent, Mapping[str, Any], str]]:
    legs = order.payment_intents.filter(checkout_session=session) if session else order.payment_intents
    of_order = {leg.id: leg for leg in legs.select_for_update(of=("self",)).order_by("id")}
    chosen: list[tuple[PaymentIntent, Mapping[str, Any], str]] = []
    for index, item in enumerate(data["payment_intents"]):
        # A standalone payment intent is confirmed at an address of its own, with nothing around its source.
        param = "" if order.is_hidden else f"payment_intents[{index}]"
        leg = of_order.pop(item["payment_intent_id"], None)
        if leg is None:
            raise PaymentIntentNotPartOfOrder(param=f"{param}.payment_intent_id")
        refuse_ended(leg)
        if leg.status not in CONFIRMABLE:
            raise PaymentIntentNotConfirmable(param=f"{param}.payment_intent_id", current_status=leg.status)
        chosen.append((leg, item, param))
    if len(chosen) > 1 and any(leg.capture_method == "manual" for leg, _, _ in chosen):
        raise SplitOfDelayedCapture(param="payment_intents")
    submitted = sum(leg.amount for leg, _, _ in chosen)
    covers = data.get("completion_behavior", "complete_order") == "complete_order"
    if submitted > part.amount or (covers and submitted < part.amount):
        raise OrderChangedRefreshRequired(
            "The chosen payment intents do not fit what is outstanding on the order.",
            param="payment_intents",
            current_money=part.money,
            submitted_money=order.money(submitted),
        )
    return chosen


def refuse_ended(leg: PaymentIntent) -> None:
    """:raises OrderPaymentLegAlreadySettled, PaymentAlreadyCanceled, CannotCancelExpiredPayment: if it has ended so."""
    if leg.status == "succeeded":
        raise OrderPaymentLegAlreadySettled(current_status=leg.status)
    if leg.status == "canceled":
        raise PaymentAlreadyCanceled(current_status=leg.status)
    if leg.status == "expired":
        raise CannotCancelExpiredPayment(current_status=leg.status)


def _settle_nothing(order: Order, data: Mapping[str, Any], actor: Actor) -> PaymentAttempt:
    """End the payment of an order on which nothing is owed, without any processor."""
    if order.has_settled:
        raise OrderAlreadyPaid
    if data.get("payment_source"):
        raise PaymentNotRequired(param="payment_source")
    now = timezone.now()
    attempt = _new_attempt(order, actor, data, mode="settlement")
    attempt.become(status="succeeded", at=now)
    attempt.save(force_insert=True)
    _remember_contact(order, data)
    order.order_revision += 1
    order.settle(order.money(0))
    redeem_discounts(order)
    count_completion(order)
    events.record(order, "payment.settled", subject=attempt, actor=actor, amount=0, payment_status=order.payment_status)
    complete_session(order, actor=actor, at=now)
    order.save()
    return attempt


def _refuse_late(order: Order, data: Mapping[str, Any], actor: Actor) -> PaymentAttempt:
    """End the payment of an order whose link has been paid as often as it may be, before anybody is charged."""
    attempt = _new_attempt(order, actor, data, mode="payment")
    attempt.become(status="failed", at=timezone.now(), failure_code=CLAIM_FAILED, failure_message=CLAIM_FAILED_MESSAGE)
    attempt.save(force_insert=True)
    order.order_revision += 1
    events.record(
        order, "payment.failed", subject=attempt, actor=actor, amount=order.outstanding_amount, code=CLAIM_FAILED
    )
    order.save()
    return attempt


def _write_down(
    order: Order,
    legs: list[tuple[PaymentIntent, Source]],
    data: Mapping[str, Any],
    actor: Actor,
    processor: str,
    part: Part,
) -> Started:
    attempt = _new_attempt(order, actor, data, mode="payment")
    attempt.invoice, attempt.invoice_schedule_entry = part.invoice, part.entry
    attempt.expected_outstanding_amount = part.amount
    attempt.next_check_at = timezone.now() + FIRST_CHECK_AFTER
    attempt.save(force_insert=True)
    calls = []
    for leg, source in legs:
        is_new = leg._state.adding
        leg.processor = processor
        leg.payment_method = source.method
        leg.kept_for_id = data["kept_for"] or None
        leg.submit()
        leg.save(force_insert=is_new)
        tries = 0 if is_new else leg.operations.filter(kind="confirm").count()
        operation = PaymentOperation(
            environment_id=order.environment_id,
            payment_intent=leg,
            attempt=attempt,
            position=tries,
            kind="confirm",
            amount=leg.amount,
            currency=leg.currency,
        )
        operation.save(force_insert=True)
        calls.append((operation, source.token))
    _remember_contact(order, data)
    order.active_attempt_id = attempt.id
    order.order_revision += 1
    events.record(
        order,
        "payment.started",
        subject=attempt,
        actor=actor,
        amount=sum(leg.amount for leg, _ in legs),
        payment_intent_ids=[leg.id for leg, _ in legs],
    )
    if part.invoice:
        events.record(
            order,
            "invoice.payment_attempt_started",
            subject=part.invoice,
            actor=actor,
            amount=part.amount,
            invoice_payment_attempt_id=attempt.id,
            checkout_session_id=attempt.checkout_session_id,
        )
    order.save()
    return Started(attempt, calls, is_attended=actor.is_buyer or bool(data.get("buyer_device")))


def _new_attempt(order: Order, actor: Actor, data: Mapping[str, Any], *, mode: str) -> PaymentAttempt:
    return PaymentAttempt(
        environment_id=order.environment_id,
        order=order,
        checkout_session_id=actor.id if actor.is_buyer else None,
        customer_id=actor.customer_id or None if actor.is_buyer else None,
        mode=mode,
        completion_behavior=data.get("completion_behavior", "complete_order"),
        expected_outstanding_amount=order.outstanding_amount,
        currency=order.currency,
        command_key=actor.command.key if actor.command else "",
        command_digest=actor.command.digest if actor.command else "",
    )


def _contact_of(data: Mapping[str, Any], session: CheckoutSession | None) -> Mapping[str, str | None]:
    """Return how the payer is reached: as the request says, else as they told their checkout."""
    given = data.get("buyer_contact") or {}
    if session is None:
        return given
    return {
        "email": given.get("email") or session.contact_email,
        "phone": given.get("phone") or session.contact_phone,
    }


def _remember_contact(order: Order, data: Mapping[str, Any]) -> None:
    contact = data.get("buyer_contact") or {}
    order.contact_email = contact.get("email") or order.contact_email
    order.contact_phone = contact.get("phone") or order.contact_phone
