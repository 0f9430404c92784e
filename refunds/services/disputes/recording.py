"""Learning what became of a dispute. Notices and the sweep both come through :func:`record_dispute`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import NotFound
from flint.events import services as events
from orders.models import Order
from payments.models import PaymentIntent, PaymentOperation
from payments.processors.base import DisputeState
from payments.services import DoesNotFit
from refunds.models import Dispute
from refunds.models.disputes import ASKS_FOR_A_RESPONSE, FINAL, CaseType, D, DisputeReason
from refunds.services.disputes.booking import block, hold_back, tell

FIRST_CHECK_AFTER = timedelta(minutes=15)
SLOWEST_CHECK = timedelta(hours=6)
CHECK_OF_AN_END = timedelta(days=1)
WATCHED_AFTER_END = timedelta(days=90)
"""How long a dispute that ended is still asked about: a customer may withdraw even one that was lost."""

# The status of a payment with several disputes is that of the one that needs somebody most.
MOST_URGENT = [
    D.NEEDS_RESPONSE,
    D.UNDER_REVIEW,
    D.WARNING_NEEDS_RESPONSE,
    D.WARNING_UNDER_REVIEW,
    D.LOST,
    D.PREVENTED,
    D.WON,
    D.WARNING_CLOSED,
]


def record_dispute(
    state: DisputeState,
    *,
    actor: Actor,
    at: datetime | None = None,
    asked_at: datetime | None = None,
    also: Callable[[], None] | None = None,
) -> Dispute:
    """
    Apply a dispute's state at the processor, forward only; a state already known changes nothing.

    A state of an earlier stage is old news, and so is one that was asked for, ``asked_at``, before the newest one that
    is known. Old news moves nothing. ``also`` runs in the same transaction, for the caller's own mark that the fact is
    dealt with.

    :raises DoesNotFit: if no payment of the actor's environment has the reference that the state names.
    """
    at, asked_at = at or timezone.now(), asked_at or timezone.now()
    with transaction.atomic():
        order, leg, operation = _locked(state, actor)
        dispute = Dispute.objects.filter(environment_id=order.environment_id, reference=state.reference).first()
        if dispute is not None and dispute.operation_id != operation.id:
            raise DoesNotFit(f"{state.reference} is a dispute of another payment")
        if dispute is not None and (asked_at < dispute.asked_at or not dispute.may_become(state.status)):
            # Whichever of the two is right, asking again tells.
            dispute.next_check_at = at
            dispute.save(update_fields=["next_check_at", "updated_at"])
        else:
            dispute = _apply(order, leg, operation, dispute, state, actor, at, asked_at)
        if also:
            also()
    return dispute


def _locked(state: DisputeState, actor: Actor) -> tuple[Order, PaymentIntent, PaymentOperation]:
    """Lock the order of the disputed payment, and return it with the payment."""
    if state.environment_id != actor.environment_id:
        raise DoesNotFit(f"{state.reference} names another environment")
    paid = PaymentOperation.objects.of(actor).filter(kind="confirm", reference=state.payment_reference)
    try:
        order = Order.objects.behind(actor).lock(id__in=paid.values("payment_intent__order_id"))
    except NotFound:
        raise DoesNotFit(f"{state.reference} is of no payment of {actor.environment_id}") from None
    operation = paid.select_related("payment_intent").get()
    return order, operation.payment_intent, operation


def _apply(
    order: Order,
    leg: PaymentIntent,
    operation: PaymentOperation,
    dispute: Dispute | None,
    state: DisputeState,
    actor: Actor,
    at: datetime,
    asked_at: datetime,
) -> Dispute:
    known = order.event_count
    is_new = dispute is None
    if dispute is None:
        dispute = _opened(order, leg, operation, state, at)
        events.record(order, "dispute.created", subject=dispute, actor=actor, **_particulars(dispute, leg))
    dispute.operation = operation
    status_before, is_changed = dispute.status, _learn(dispute, state)
    if dispute.status != state.status:
        dispute.become(status=state.status, at=at)
    dispute.asked_at = asked_at
    _plan_check(dispute, at)
    movement = hold_back(order, leg, dispute, state.withdrawn_amount)
    dispute.save()
    _reassess(order, leg)
    if movement:
        tell(order, dispute, movement, actor=actor)
    changed = status_before != dispute.status
    if not is_new and (changed or is_changed or movement):
        events.record(order, "dispute.updated", subject=dispute, actor=actor, **_particulars(dispute, leg))
    if is_new or changed:
        _tell_status(order, leg, dispute, actor)
    if order.event_count != known:
        order.order_revision += 1
        order.save()
    return dispute


def _opened(
    order: Order, leg: PaymentIntent, operation: PaymentOperation, state: DisputeState, at: datetime
) -> Dispute:
    dispute = Dispute(
        environment_id=order.environment_id,
        order=order,
        payment_intent=leg,
        operation=operation,
        reference=state.reference,
        status=state.status,
        opened_at=state.created_at or at,
        status_changed_at=at,
        asked_at=at,
    )
    _learn(dispute, state)
    dispute.save(force_insert=True)
    return dispute


def _learn(dispute: Dispute, state: DisputeState) -> bool:
    """Take over what a state tells beside status and money. Return whether any of it is new."""
    told = {
        "amount": state.money.amount,
        "currency": state.money.currency,
        "case_type": state.case_type if state.case_type in CaseType.values else CaseType.OTHER,
        "reason": state.reason if state.reason in DisputeReason.values else DisputeReason.GENERAL,
        "evidence_due_at": state.evidence_due_at,
        "has_evidence": state.has_evidence,
        "evidence_submission_count": state.evidence_submission_count,
        "is_evidence_past_due": state.is_evidence_past_due,
    }
    is_news = any(getattr(dispute, name) != value for name, value in told.items())
    for name, value in told.items():
        setattr(dispute, name, value)
    return is_news


def _reassess(order: Order, leg: PaymentIntent) -> None:
    """Give the payment the status that follows from its disputes, and block the order while a debt is undecided."""
    statuses = set(Dispute.objects.filter(payment_intent_id=leg.id).values_list("status", flat=True))
    leg.dispute_status = next(status.value for status in MOST_URGENT if status in statuses)
    leg.save(update_fields=["charged_back_amount", "dispute_status", "updated_at"])
    block(order)


def _tell_status(order: Order, leg: PaymentIntent, dispute: Dispute, actor: Actor) -> None:
    told = ["needs_response"] if dispute.status in ASKS_FOR_A_RESPONSE else []
    told += [dispute.status, "closed"] if dispute.status in FINAL else []
    for name in told:
        events.record(order, f"dispute.{name}", subject=dispute, actor=actor, **_particulars(dispute, leg))


def _particulars(dispute: Dispute, leg: PaymentIntent) -> dict[str, Any]:
    """Return what every event of a dispute tells. An amount in a foreign currency is told as a text."""
    is_same = dispute.currency == leg.currency
    disputed = {"amount": dispute.amount} if is_same else {"disputed": dispute.money.text()}
    return {
        **disputed,
        "payment_intent_id": leg.id,
        "status": dispute.status,
        "case_type": dispute.case_type,
        "reason": dispute.reason,
    }


def _plan_check(dispute: Dispute, at: datetime) -> None:
    """Set when the sweep asks again; an end is watched for a while, closely until its money is where it belongs."""
    dispute.checks += 1
    wait = min(FIRST_CHECK_AFTER * 2 ** min(dispute.checks, 12), SLOWEST_CHECK)
    is_settled = dispute.is_final and (dispute.status == D.LOST or not dispute.withdrawn_amount)
    if is_settled and at - dispute.status_changed_at > WATCHED_AFTER_END:
        dispute.next_check_at = None
    else:
        dispute.next_check_at = at + (CHECK_OF_AN_END if is_settled else wait)
