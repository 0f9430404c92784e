"""
Booking what a processor holds back for a dispute: on the order as far as the payment still held it, beyond that as the
merchant's loss. Everything here works on a locked order, which the caller saves.
"""

from django.db.models import Sum

from flint.actors import Actor
from flint.events import services as events
from flint.events.models import Event
from orders import ledger
from orders.models import LedgerEntry, Order
from payments.models import PaymentIntent, PaymentOperation
from refunds.models import UNSETTLED, Dispute, DisputeMovement, RefundLeg


def hold_back(
    order: Order, leg: PaymentIntent, dispute: Dispute, withdrawn: int, *, keep_free: int = 0
) -> DisputeMovement | None:
    """
    Bring what is booked for a dispute to what is withdrawn for it; None if it is so already.

    A withdrawal takes what the payment still holds, promised refunds excepted; the rest of it is beyond the order.
    Money that comes back makes up for the latter first, and undoes what had been written off for want of it.
    ``keep_free`` is left out of what the payment holds. Saves the dispute, the caller the payment.
    """
    room = dispute.charged_back_amount + max(_free(leg, dispute.operation) - keep_free, -dispute.charged_back_amount)
    charged_back = min(withdrawn, room) - dispute.charged_back_amount
    excess = withdrawn - dispute.withdrawn_amount - charged_back
    if not charged_back and not excess:
        return None
    movement = DisputeMovement(
        environment_id=order.environment_id,
        dispute=dispute,
        order=order,
        charged_back_amount=charged_back,
        excess_amount=excess,
    )
    dispute.withdraw(charged_back=charged_back, excess=excess)
    leg.charged_back_amount += charged_back
    order.charge_back(order.money(charged_back))
    if charged_back < 0:
        _owe_again(order, dispute, movement)
    dispute.save()
    movement.save(force_insert=True)
    return movement


def _free(leg: PaymentIntent, operation: PaymentOperation) -> int:
    """Return what a payment still holds, promised refunds and other disputes taken off."""
    given = RefundLeg.objects.filter(operation_id=operation.id, status__in=[*UNSETTLED, "succeeded"])
    taken = Dispute.objects.filter(operation_id=operation.id)
    free = (
        operation.captured_amount
        - given.aggregate(total=Sum("amount", default=0))["total"]
        - taken.aggregate(total=Sum("charged_back_amount", default=0))["total"]
    )
    return min(free, leg.refundable_amount)


def _owe_again(order: Order, dispute: Dispute, movement: DisputeMovement) -> None:
    """Undo what was written off for want of money that has come back: by staff for this dispute, then by closing."""
    undone = max(dispute.written_off_amount - dispute.charged_back_amount, 0)
    dispute.written_off_amount -= undone
    movement.written_off_amount = -undone
    order.credit(order.money(-undone))
    came_back = -movement.charged_back_amount - undone
    if order.status == "closed" and came_back and order.balance_amount < 0:
        restored = min(came_back, -order.balance_amount, _written_off_by_closing(order))
        movement.credit_restored_amount = restored
        order.credit(order.money(-restored))


def _written_off_by_closing(order: Order) -> int:
    at_close = LedgerEntry.objects.filter(order_id=order.id, kind="write_off", source_id=order.id)
    restored = DisputeMovement.objects.filter(order_id=order.id)
    return (
        at_close.aggregate(total=Sum("amount", default=0))["total"]
        - restored.aggregate(total=Sum("credit_restored_amount", default=0))["total"]
    )


def tell(order: Order, dispute: Dispute, movement: DisputeMovement, *, actor: Actor) -> None:
    """Remember a step of a dispute's money, and post it."""
    moved = movement.charged_back_amount + movement.excess_amount
    kind = "funds_withdrawn" if moved > 0 else "funds_reinstated" if moved < 0 else "rebooked"
    event = events.record(
        order,
        f"dispute.{kind}",
        subject=dispute,
        actor=actor,
        amount=abs(moved) or abs(movement.charged_back_amount),
        charged_back_amount=movement.charged_back_amount,
        excess_amount=movement.excess_amount,
        owed_again_amount=movement.credit_restored_amount - movement.written_off_amount,
    )
    post(order, event, movement)


def post(order: Order, event: Event, movement: DisputeMovement) -> None:
    """Post a step of a dispute's money, each of its parts in its own direction."""
    written_off = movement.written_off_amount - movement.credit_restored_amount
    amounts = (
        ("dispute_withdrawn", "dispute_reinstated", movement.charged_back_amount),
        ("dispute_excess", "dispute_excess_reinstated", movement.excess_amount),
        ("write_off", "write_off_reversed", written_off),
    )
    postings = [
        ledger.Posting(there if amount > 0 else back, abs(amount), movement.id) for there, back, amount in amounts
    ]
    ledger.post(order, event, postings)


def rebook(order: Order, payment_intent_id: str, *, actor: Actor) -> None:
    """Move what is booked beyond the order onto it, as far as its payment holds more again: a refund of it failed."""
    for dispute in _of_payment(payment_intent_id).filter(excess_amount__gt=0):
        _shift(order, dispute, actor)


def make_room(order: Order, operation: PaymentOperation, amount: int, *, actor: Actor) -> None:
    """
    Move what disputes took of a payment beyond the order, as far as a refund of ``amount`` that has happened needs it.

    Such a refund came first at the processor, whatever was learned first here.
    """
    for dispute in _of_payment(operation.payment_intent_id).filter(charged_back_amount__gt=0):
        _shift(order, dispute, actor, keep_free=amount)


def _of_payment(payment_intent_id: str):
    rows = Dispute.objects.filter(payment_intent_id=payment_intent_id).select_related("operation", "payment_intent")
    return rows.order_by("opened_at", "id")


def _shift(order: Order, dispute: Dispute, actor: Actor, *, keep_free: int = 0) -> None:
    # What was read with an earlier dispute is out of date once that one has moved.
    leg = PaymentIntent.objects.get(id=dispute.payment_intent_id)
    movement = hold_back(order, leg, dispute, dispute.withdrawn_amount, keep_free=keep_free)
    if movement is None:
        return
    leg.save(update_fields=["charged_back_amount", "updated_at"])
    block(order)
    tell(order, dispute, movement, actor=actor)


def block(order: Order) -> None:
    """
    Block what an order owes from being collected while nobody has decided on a debt that a dispute left.

    Closing an order decides on what it owed then.
    """
    undecided = Dispute.objects.filter(order_id=order.id, charged_back_amount__gt=0, decision="")
    order.block_collection((order.status == "open" or order.outstanding_amount > 0) and undecided.exists())
