"""Learning what became of a refund. Answers, notices and the sweep all come through :func:`record_refund`."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import NotFound
from flint.events import services as events
from orders import ledger
from orders.models import Order
from payments.processors.base import RefundState
from payments.services import DoesNotFit
from refunds.messages import queue_refund
from refunds.models import UNSETTLED, R, Refund, RefundAllocation, RefundLeg, RefundOrigin
from refunds.services import booking
from refunds.services.credit_notes import tell_note
from refunds.services.disputes.booking import rebook

FAILURE_REASONS = frozenset(
    {
        "expired_or_canceled_card",
        "lost_or_stolen_card",
        "insufficient_funds",
        "insufficient_available_balance",
        "declined",
        "merchant_request",
        "payment_disputed",
        "payment_refund_failed",
        "payment_refund_not_attempted",
    }
)
"""The contract's reasons; whatever else a processor says becomes ``refund_failed``."""

FIRST_CHECK_AFTER = timedelta(seconds=15)
SLOWEST_CHECK = timedelta(hours=6)
WATCHED_AFTER_SUCCESS = timedelta(days=35)
"""How long a refund that succeeded is still asked about: a bank may send it back weeks later."""


def record_refund(
    state: RefundState, *, actor: Actor, at: datetime | None = None, also: Callable[[], None] | None = None
) -> RefundLeg:
    """
    Apply a refund's state at the processor to its leg, forward only; a state already known changes nothing.

    ``also`` runs in the same transaction, for the caller's own mark that the fact is dealt with.

    A refund that was found at the processor may have several legs; they share its reference and its fate.

    :raises DoesNotFit: if the state is of a refund that is not known here, was given up, or is of another amount.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, leg, legs = _locked(leg_of(state, actor) or state.operation_id, actor)
        alike = [each for each in legs if each.reference and each.reference == state.reference]
        _refuse_foreign(state, leg, alike)
        known = order.event_count
        for each in alike or [leg]:
            each.reference = state.reference
            each.answered_at = each.answered_at or at
            if state.status == "succeeded" and each.is_unsettled:
                _succeed(order, each, actor)
            elif state.status in ("failed", "canceled"):
                _fail(order, each, state.failure_reason, actor)
            elif state.status == "requires_action" and each.status == R.PENDING:
                each.require_action()
            _plan_check(each, at)
            each.save()
        if _reassess(leg.refund, legs):
            tell_note(order, leg.refund, actor=actor)
        queue_refund(order, leg.refund)
        if order.event_count != known:
            order.save()
        if also:
            also()
    return leg


def leg_of(state: RefundState, actor: Actor) -> str:
    """Return the id of the first leg that goes by the processor's name for a refund, empty if there is none."""
    legs = RefundLeg.objects.of(actor).filter(reference=state.reference).order_by("position")
    return legs.values_list("id", flat=True).first() or ""


def _refuse_foreign(state: RefundState, leg: RefundLeg, alike: Sequence[RefundLeg]) -> None:
    if state.environment_id != leg.environment_id:
        raise DoesNotFit(f"{state.reference} names another environment")
    if leg.refund.origin == RefundOrigin.PROCESSOR:
        # Perhaps only a part of it could be booked, never more than there is.
        fits = state.money.currency == leg.currency and sum(each.amount for each in alike) <= state.money.amount
    else:
        fits = state.money == leg.money
        fits = fits and state.operation_id == leg.id
    if not fits:
        raise DoesNotFit(f"{state.reference} does not match {leg.id}")
    if leg.reference and leg.reference != state.reference:
        raise DoesNotFit(f"{state.reference} is not the refund {leg.reference} that {leg.id} made")
    if state.status == "succeeded" and leg.is_final and not leg.reference:
        raise DoesNotFit(f"{state.reference} gave money back for {leg.id}, which was given up")


def record_refused(refund_leg_id: str, *, reason: str, actor: Actor, at: datetime | None = None) -> None:
    """Book that the processor would not give the money back: what was reserved is free again."""
    at = at or timezone.now()
    with transaction.atomic():
        order, leg, legs = _locked(refund_leg_id, actor)
        if not leg.is_unsettled:
            return
        leg.answered_at = at
        _fail(order, leg, reason, actor)
        leg.next_check_at = None
        leg.save()
        if _reassess(leg.refund, legs):
            tell_note(order, leg.refund, actor=actor)
        order.save()


def _locked(refund_leg_id: str, actor: Actor) -> tuple[Order, RefundLeg, list[RefundLeg]]:
    """Lock the order of a leg, and return it with that leg and all legs of its refund."""
    of_leg = RefundLeg.objects.of(actor).filter(id=refund_leg_id).values("order_id")
    try:
        order = Order.objects.behind(actor).lock(id__in=of_leg)
    except NotFound:
        raise DoesNotFit(f"no refund {refund_leg_id or '(none named)'} in {actor.environment_id}") from None
    of_refund = RefundLeg.objects.filter(refund__legs=refund_leg_id).select_related("refund")
    legs = list(of_refund.prefetch_related("allocations").order_by("position"))
    return order, next(leg for leg in legs if leg.id == refund_leg_id), legs


def _succeed(order: Order, leg: RefundLeg, actor: Actor) -> None:
    leg.succeed()
    booking.give_back(order, leg)
    order.order_revision += 1
    event = events.record(
        order,
        "refund.succeeded",
        subject=leg.refund,
        actor=actor,
        amount=leg.amount,
        payment_intent_id=leg.payment_intent_id,
    )
    ledger.post(
        order,
        event,
        [
            ledger.Posting("refund_released", leg.amount, leg.id),
            ledger.Posting("refund", leg.amount, leg.id),
            *credits_of(leg, suffix=""),
        ],
    )


def _fail(order: Order, leg: RefundLeg, reason: str, actor: Actor) -> None:
    """Undo a leg, whether it was still promised or had been reported done. What is given up is refundable again."""
    if leg.status not in (*UNSETTLED, R.SUCCEEDED):
        return
    was_done = leg.status == R.SUCCEEDED
    leg.fail(reason=reason if reason in FAILURE_REASONS else "refund_failed")
    if was_done:
        booking.take_back(order, leg)
        postings = [ledger.Posting("refund_reversed", leg.amount, leg.id), *credits_of(leg, suffix="_reversed")]
    else:
        booking.release(order, leg)
        postings = [ledger.Posting("refund_released", leg.amount, leg.id)]
    order.order_revision += 1
    event = events.record(
        order,
        "refund.failed",
        subject=leg.refund,
        actor=actor,
        amount=leg.amount,
        payment_intent_id=leg.payment_intent_id,
        reason=leg.failure_reason,
        was_done=was_done,
    )
    ledger.post(order, event, postings)
    # What a dispute took beyond the order may now be on it.
    leg.save(update_fields=["status", "failure_reason", "updated_at"])
    rebook(order, leg.payment_intent_id, actor=actor)


def credits_of(leg: RefundLeg, *, suffix: str) -> list[ledger.Posting]:
    """Return what is no longer owed because of a leg, by what it was recognised as when it was sold."""
    rows: list[RefundAllocation] = [] if leg.is_correction else list(leg.allocations.all())
    taxes = sum(row.tax_amount + row.inclusive_tax_amount for row in rows)
    goods = sum(row.amount - row.tax_amount - row.inclusive_tax_amount for row in rows if row.line_item_id)
    charges = sum(row.amount - row.tax_amount - row.inclusive_tax_amount for row in rows if row.charge_id)
    amounts = {"goods": goods, "charge": charges, "tip": leg.tip_amount, "tax": taxes}
    return [ledger.Posting(f"credit_{name}{suffix}", amount, leg.id) for name, amount in amounts.items()]


def _reassess(refund: Refund, legs: Sequence[RefundLeg]) -> bool:
    """Give a refund the status that follows from its legs, and tell whether that is another one."""
    statuses = {leg.status for leg in legs}
    if len(statuses) == 1:
        status = statuses.pop()
    elif not statuses & set(UNSETTLED):
        status = R.PARTIALLY_SUCCEEDED if R.SUCCEEDED in statuses else R.FAILED
    else:
        status = R.REQUIRES_ACTION if R.REQUIRES_ACTION in statuses else R.PENDING
    if status != refund.status:
        reason = next((leg.failure_reason for leg in legs if leg.failure_reason), "")
        refund.become(status=status, failure_reason=reason)
        refund.handled_at = None
        refund.save(update_fields=["status", "failure_reason", "handled_at", "updated_at"])
        return True
    return False


def _plan_check(leg: RefundLeg, at: datetime) -> None:
    """Set when the sweep asks again; a success is watched for a while, a failure is final."""
    over = leg.status in (R.FAILED, R.CANCELED) or (
        leg.status == R.SUCCEEDED and at - leg.created_at > WATCHED_AFTER_SUCCESS
    )
    leg.checks += 1
    wait = min(FIRST_CHECK_AFTER * 2 ** min(leg.checks, 12), SLOWEST_CHECK)
    leg.next_check_at = None if over else at + (SLOWEST_CHECK if leg.status == R.SUCCEEDED else wait)
