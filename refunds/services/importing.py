"""
Taking in refunds that were made at the processor, behind our back. Notices and the reconciliation both come here.

A refund that carries one of our operation ids is ours, whatever else is known of it. Any other is booked on the order
of its payment, as a credit spread over what is left, and waits for somebody to explain it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import NotFound
from flint.events import services as events
from flint.money import Money
from orders import ledger
from orders.models import Order
from payments.models import PaymentOperation
from payments.processors.base import DoesNotFit, Processor, RefundState
from payments.services import record_payment
from refunds.models import Reason, Refund, RefundLeg, RefundOrigin
from refunds.services.booking import reserve
from refunds.services.composing import SURPLUS, TIP, Composer
from refunds.services.disputes.booking import make_room
from refunds.services.recording import leg_of, record_refund

GIVEN_BACK = ("succeeded", "pending", "requires_action")


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of a refund that was taken in: how much of it is not booked, on which order, and what was new."""

    order_id: str | None
    booked: Money | None
    missing: Money | None
    is_change: bool


def take_in_refund(
    state: RefundState,
    *,
    processor: Processor,
    actor: Actor,
    at: datetime | None = None,
    also: Callable[[], None] | None = None,
) -> TakenIn:
    """
    Bring a refund, ours or not, to its state at the processor, once; ``also`` as in :func:`record_refund`.

    More than the caps allow is never booked; what is missing is told, for the caller to keep.

    :raises DoesNotFit: if it belongs to no payment here, or contradicts what is known of it.
    """
    at = at or timezone.now()
    if _is_ours(state, actor):
        before = _status(state.operation_id)
        leg = record_refund(state, actor=actor, at=at, also=also)
        return TakenIn(leg.order_id, leg.money, None, is_change=leg.status != before)
    operation = _payment_behind(state, processor, actor, at)
    with transaction.atomic():
        order = _locked(operation, actor)
        booked = _booked(state, actor)
        missing = state.money.amount - booked if state.status in GIVEN_BACK else 0
        part = _import(order, operation, state, missing, actor, at) if missing else 0
        before = _status(leg_of(state, actor))
        is_change = part > 0
        if booked or part:
            is_change |= record_refund(state, actor=actor, at=at, also=also).status != before
        elif also:
            also()
    total, rest = booked + part, missing - part
    return TakenIn(
        operation.payment_intent.order_id,
        order.money(total) if total else None,
        order.money(rest) if rest else None,
        is_change=is_change,
    )


def _is_ours(state: RefundState, actor: Actor) -> bool:
    """Whether we asked for it. What went out for a leg that was given up is taken in like a stranger's."""
    if not state.operation_id:
        return False
    leg = RefundLeg.objects.of(actor).filter(id=state.operation_id).order_by("id").first()
    if leg is None:
        raise DoesNotFit(f"no refund {state.operation_id} in {actor.environment_id}")
    return not (leg.is_final and not leg.reference and state.status in GIVEN_BACK)


def _status(leg_id: str) -> str | None:
    return RefundLeg.objects.filter(id=leg_id).order_by("id").values_list("status", flat=True).first()


def _payment_behind(state: RefundState, processor: Processor, actor: Actor, at: datetime) -> PaymentOperation:
    """Return the try whose payment was refunded; should its money not be booked yet, that is done first."""
    if state.environment_id != actor.environment_id:
        raise DoesNotFit(f"{state.reference} names another environment, {state.environment_id}")
    found = _operation(state, actor)
    if found is None or not found.captured_amount:
        payment = processor.retrieve_payment(environment_id=actor.environment_id, reference=state.payment_reference)
        if payment is not None and payment.operation_id:
            record_payment(payment, actor=actor, at=at)
            found = _operation(state, actor)
    if found is None:
        raise DoesNotFit(f"{state.reference} gives back of a payment that is not known here, {state.payment_reference}")
    return found


def _operation(state: RefundState, actor: Actor) -> PaymentOperation | None:
    confirms = PaymentOperation.objects.of(actor).filter(kind="confirm", reference=state.payment_reference)
    return confirms.exclude(reference="").select_related("payment_intent").order_by("id").first()


def _locked(operation: PaymentOperation, actor: Actor) -> Order:
    try:
        return Order.objects.behind(actor).select_related("environment").lock(id=operation.payment_intent.order_id)
    except NotFound:
        raise DoesNotFit(f"{operation.id} is of no order in {actor.environment_id}") from None


def _booked(state: RefundState, actor: Actor) -> int:
    """Return how much of a refund is booked already. Read under the order's lock, so nobody else adds to it."""
    legs = RefundLeg.objects.of(actor).filter(reference=state.reference)
    return sum(legs.values_list("amount", flat=True))


def _import(
    order: Order, operation: PaymentOperation, state: RefundState, amount: int, actor: Actor, at: datetime
) -> int:
    """Promise on a locked order what was given back already, as far as it can be. Return how much that is."""
    if state.money.currency != order.currency:
        raise DoesNotFit(f"{state.reference} is in {state.money.currency}, the order in {order.currency}")
    if not operation.captured_amount:
        return 0
    make_room(order, operation, amount, actor=actor)
    composer = Composer(order, operation_ids=[operation.id], is_made=True)
    money = order.money(min(amount, composer.refundable))
    if not money.amount:
        return 0
    refund = _refund_of(order, state, actor)
    composition = composer.compose({"amount_money": money, "balance_effect": refund.balance_effect})
    refund.amount += composition.amount
    refund.tip_amount += composition.of(TIP)
    refund.surplus_amount += composition.of(SURPLUS)
    refund.save(force_insert=refund._state.adding)
    position = refund.legs.count()
    for leg in composition.legs:
        leg.refund, leg.reference, leg.position = refund, state.reference, position + leg.position
        # It went out already, so nobody may ever send it.
        leg.sent_at = at
    reserve(order, composition)
    order.order_revision += 1
    event = events.record(
        order,
        "refund.created",
        subject=refund,
        actor=actor,
        amount=composition.amount,
        reason=refund.reason,
        origin=refund.origin,
        reference=state.reference,
    )
    ledger.post(order, event, [ledger.Posting("refund_promised", leg.amount, leg.id) for leg in composition.legs])
    order.save()
    return composition.amount


def _refund_of(order: Order, state: RefundState, actor: Actor) -> Refund:
    """Return the refund that was imported for this one before, when only a part of it fitted, or a new one."""
    if leg_id := leg_of(state, actor):
        return RefundLeg.objects.select_related("refund").get(id=leg_id).refund
    return Refund(
        environment=order.environment,
        order=order,
        amount=0,
        currency=order.currency,
        origin=RefundOrigin.PROCESSOR,
        reason=state.reason if state.reason in Reason.values else "",
    )
