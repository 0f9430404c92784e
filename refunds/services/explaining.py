"""Explaining refunds that were found at the processor: why, and whether the customer owes the money again."""

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from orders import ledger
from orders.models import Order
from orders.services.editing import OrderClosed
from refunds.models import R, Reason, Refund, RefundOrigin
from refunds.services import booking
from refunds.services.recording import credits_of

MAX_MESSAGE = 1000


class RefundNotFromProcessor(Conflict):
    code = "REFUND_NOT_FROM_PROCESSOR"
    message = "This refund was asked for here; there is nothing to explain."


class RefundAlreadyExplained(Conflict):
    code = "REFUND_ALREADY_EXPLAINED"
    message = "Somebody has explained this refund already."


class RefundReasonRequired(InvalidInput):
    code = "REFUND_REASON_REQUIRED"
    message = "Choose a reason."


def explain_refund(
    refund_id: str, *, reason: str, reason_message: str = "", balance_effect: str = "credit", actor: Actor
) -> Refund:
    """
    Say why money was given back at the processor, and take the refund off the work list.

    With effect ``reopen`` it was a correction of the payment: what it had credited is owed again, by new entries, and
    the parts of the order that it was spread over are no longer given back. What it gave back of a surplus stays.

    :raises RefundNotFound: if it is absent or foreign. :raises RefundReasonRequired: without a reason.
    :raises RefundNotFromProcessor, RefundAlreadyExplained: if there is nothing to explain.
    :raises OrderClosed: if a closed order would owe again.
    """
    if reason not in Reason.values or len(reason_message) > MAX_MESSAGE or "\0" in reason_message:
        raise RefundReasonRequired(param="reason")
    with transaction.atomic():
        of_refund = Refund.objects.of(actor).find(id=refund_id)
        order = Order.objects.behind(actor).lock(id=of_refund.order_id)
        refund = Refund.objects.of(actor).find(id=refund_id)
        if refund.origin != RefundOrigin.PROCESSOR:
            raise RefundNotFromProcessor
        if refund.explained_at:
            raise RefundAlreadyExplained
        reopens = balance_effect == "reopen" and refund.balance_effect == "credit"
        if reopens and order.status == "closed":
            raise OrderClosed("The order is closed and owes nothing any more.")
        refund.explained_at, refund.reason, refund.reason_message = timezone.now(), reason, reason_message
        postings = _correct(order, refund) if reopens else []
        refund.save()
        order.order_revision += 1
        event = events.record(
            order,
            "refund.explained",
            subject=refund,
            actor=actor,
            amount=refund.amount,
            reason=reason,
            balance_effect=refund.balance_effect,
        )
        ledger.post(order, event, postings)
        order.save()
    return refund


def _correct(order: Order, refund: Refund) -> list[ledger.Posting]:
    """Make a credit a correction of the payment. Return what has to be posted, which undoes the credit."""
    postings = []
    for leg in refund.legs.order_by("position").prefetch_related("allocations"):
        if leg.status == R.SUCCEEDED:
            postings += credits_of(leg, suffix="_reversed")
        booking.correct(order, leg)
        leg.save()
    refund.balance_effect, refund.tip_amount = "reopen", 0
    return postings
