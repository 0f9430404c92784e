"""What staff make of what a dispute took: nobody owes it any more, it is collected again, or the loss is noted."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from orders import collecting
from orders.models import Order
from refunds.models import Dispute, DisputeMovement
from refunds.models.disputes import D, Decision
from refunds.services.disputes.booking import block, post

MAX_REASON = 500


class DisputeAlreadyDecided(Conflict):
    code = "DISPUTE_ALREADY_DECIDED"
    message = "Nothing is left to decide about this dispute: it has been decided on, or its money is back."


class DisputeNotLost(Conflict):
    code = "DISPUTE_NOT_LOST"
    message = "The dispute is not lost, so its money may still come back. It is not collected a second time before."


class DisputeWithoutLoss(Conflict):
    code = "DISPUTE_WITHOUT_LOSS"
    message = "The dispute took nothing beyond what its payment held, or it has been noted already."


class DisputeReasonRequired(InvalidInput):
    code = "DISPUTE_REASON_REQUIRED"
    message = f"Say why, in at most {MAX_REASON} characters."


def write_off(*, dispute_id: str, reason: str, actor: Actor) -> Dispute:
    """
    No longer ask for what a dispute took away, as far as the order still owes it.

    Should the money come back after all, what it pays is owed again, so that the order stays even.

    :raises DisputeNotFound: if it is absent or foreign. :raises DisputeReasonRequired: without a reason.
    :raises DisputeAlreadyDecided: if nothing is left to decide. :raises OrderPaymentAttemptActive: during a payment.
    """
    with _deciding(dispute_id, reason, actor) as (order, dispute):
        _refuse_decided(order, dispute)
        amount = min(order.outstanding_amount, dispute.charged_back_amount - dispute.written_off_amount)
        dispute.decide(Decision.WRITE_OFF, written_off=amount, at=timezone.now())
        dispute.save()
        order.credit(order.money(amount))
        block(order)
        event = events.record(
            order, "dispute.written_off", subject=dispute, actor=actor, amount=amount, text=reason.strip()
        )
        if amount:
            movement = DisputeMovement(
                environment_id=order.environment_id, dispute=dispute, order=order, written_off_amount=amount
            )
            movement.save(force_insert=True)
            post(order, event, movement)
    return dispute


def collect_again(*, dispute_id: str, reason: str, actor: Actor) -> Dispute:
    """
    Let what a lost dispute took away be collected again, like anything that an order owes.

    :raises DisputeNotLost: while the money may come back. Otherwise as :func:`write_off`.
    """
    with _deciding(dispute_id, reason, actor) as (order, dispute):
        _refuse_decided(order, dispute)
        if dispute.status != D.LOST:
            raise DisputeNotLost(current_status=dispute.status)
        dispute.decide(Decision.COLLECT_AGAIN, written_off=0, at=timezone.now())
        dispute.save()
        block(order)
        events.record(
            order,
            "dispute.collected_again",
            subject=dispute,
            actor=actor,
            amount=dispute.charged_back_amount,
            text=reason.strip(),
        )
    return dispute


def note_loss(*, dispute_id: str, reason: str, actor: Actor) -> Dispute:
    """
    Take note of what a dispute took beyond what its payment held, so that it waits for nobody any more.

    :raises DisputeNotFound: if it is absent or foreign. :raises DisputeReasonRequired: without a reason.
    :raises DisputeWithoutLoss: if there is none that is not noted.
    """
    with _deciding(dispute_id, reason, actor) as (order, dispute):
        if not dispute.has_new_loss:
            raise DisputeWithoutLoss(current_status=dispute.status)
        lost = dispute.excess_amount - dispute.noted_amount
        dispute.note_loss()
        dispute.save()
        events.record(order, "dispute.loss_noted", subject=dispute, actor=actor, amount=lost, text=reason.strip())
    return dispute


def _refuse_decided(order: Order, dispute: Dispute) -> None:
    if not dispute.is_undecided:
        raise DisputeAlreadyDecided(current_status=dispute.status)
    collecting.refuse_while_collecting(order)


@contextmanager
def _deciding(dispute_id: str, reason: str, actor: Actor) -> Iterator[tuple[Order, Dispute]]:
    """Lock the order of a dispute, and save it at the end."""
    if not 0 < len(reason.strip()) <= MAX_REASON or "\0" in reason:
        raise DisputeReasonRequired(param="reason")
    with transaction.atomic():
        order_id = Dispute.objects.of(actor).find(id=dispute_id).order_id
        order = Order.objects.behind(actor).lock(id=order_id)
        dispute = Dispute.objects.get(id=dispute_id)
        yield order, dispute
        order.order_revision += 1
        order.save()
