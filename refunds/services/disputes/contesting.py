"""What disputes leave of a payment for refunds: nothing may go back to a customer twice."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, Sum

from flint.errors import Conflict
from payments.models import PaymentOperation
from refunds.models import UNSETTLED, Dispute, RefundLeg
from refunds.models.disputes import CONTESTED


class PaymentIntentDisputed(Conflict):
    code = "PAYMENT_INTENT_DISPUTED"
    message = "The payment is disputed. What the dispute is about cannot be refunded before it has ended."


@dataclass(slots=True)
class Claim:
    """
    What disputes say to one payment, in minor units.

    ``taken`` counts on its order, ``contested`` may still be withdrawn. ``open`` is the part of both that disputes
    under way may give free again.
    """

    taken: int = 0
    contested: int = 0
    open: int = 0


def claims_on(operations: Iterable[PaymentOperation]) -> dict[str, Claim]:
    """Return the claims on payments by operation, in one statement; in none when nothing is disputed."""
    disputed = {each.id: each for each in operations if each.payment_intent.dispute_status != "none"}
    claims: dict[str, Claim] = {}
    if not disputed:
        return claims
    for dispute in Dispute.objects.filter(operation_id__in=disputed).order_by("id"):
        operation = disputed[dispute.operation_id]
        claim = claims.setdefault(operation.id, Claim())
        contested = dispute.contested_amount(operation.captured_amount, operation.currency)
        claim.taken += dispute.charged_back_amount
        claim.contested += contested
        if dispute.status in CONTESTED:
            claim.open += contested + dispute.charged_back_amount
    return claims


def is_taken(leg: RefundLeg) -> bool:
    """
    Whether a promised refund that was not sent yet would give back what a dispute took or is about.

    Refunds on their way come first, since nobody can call them back.
    """
    if leg.payment_intent.dispute_status == "none":
        return False
    disputes = list(Dispute.objects.filter(operation_id=leg.operation_id))
    captured = leg.operation.captured_amount
    claimed = sum(dispute.withdrawn_amount + dispute.contested_amount(captured, leg.currency) for dispute in disputes)
    gone = Q(status="succeeded") | Q(status__in=UNSETTLED, sent_at__isnull=False)
    others = RefundLeg.objects.filter(gone, operation_id=leg.operation_id).exclude(id=leg.id)
    return claimed > 0 and leg.amount > captured - claimed - others.aggregate(total=Sum("amount", default=0))["total"]
