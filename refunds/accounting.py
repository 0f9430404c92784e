"""What the rows of refunds and disputes say has gone back and is no longer owed, for the explanation of an order."""

from collections.abc import Iterator

from orders.explaining import Claim, accounts_for
from orders.models import Order
from refunds.models import DisputeMovement, R, RefundLeg


@accounts_for
def account_for_refunds(order: Order) -> Iterator[Claim]:
    """Tell what each leg gave back and credited, as long as it counts as done: one statement."""
    for leg in RefundLeg.objects.filter(order_id=order.id).order_by("created_at", "id"):
        is_done = leg.status == R.SUCCEEDED
        yield Claim("refunded", leg.amount if is_done else 0, "refund", leg.refund_id, leg.id)
        yield Claim("credit", leg.credit_amount if is_done else 0, "refund", leg.refund_id, leg.id)


@accounts_for
def account_for_disputes(order: Order) -> Iterator[Claim]:
    """Tell what each step of a dispute took, and of what it let nobody owe: one statement."""
    for step in DisputeMovement.objects.filter(order_id=order.id).order_by("created_at", "id"):
        forgiven = step.written_off_amount - step.credit_restored_amount
        yield Claim("charged_back", step.charged_back_amount, "dispute", step.dispute_id, step.id)
        yield Claim("credit", forgiven, "dispute", step.dispute_id, step.id)
