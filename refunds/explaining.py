"""What is behind the movements of a processor's balance that refunds and disputes caused."""

from collections import defaultdict
from collections.abc import Collection

from orders.models import LedgerEntry
from payments.explaining import Explanation, explains
from refunds.models import DisputeMovement, RefundLeg

SIGNS = {"refund": -1, "refund_reversed": 1}


@explains("refund")
def explain_refunds(environment_id: str, processor: str, references: Collection[str]) -> dict[str, Explanation]:
    """Two statements, whatever the number of references."""
    found = RefundLeg.objects.filter(
        environment_id=environment_id, reference__in=references, payment_intent__processor=processor
    )
    legs = list(found)
    booked = defaultdict(list)
    for entry in LedgerEntry.objects.filter(kind__in=SIGNS, source_id__in=[leg.id for leg in legs]):
        booked[entry.source_id].append(SIGNS[entry.kind] * entry.amount)
    return {
        leg.reference: Explanation(
            type="refund",
            id=leg.refund_id,
            currency=leg.currency,
            booked=tuple(booked[leg.id]),
            order_id=leg.order_id,
            payment_intent_id=leg.payment_intent_id,
        )
        for leg in legs
    }


@explains("dispute")
def explain_disputes(environment_id: str, processor: str, references: Collection[str]) -> dict[str, Explanation]:
    """What was withdrawn and given back, step by step, whether or not the order still held as much."""
    steps = DisputeMovement.objects.filter(
        environment_id=environment_id,
        dispute__reference__in=references,
        dispute__payment_intent__processor=processor,
    )
    booked = defaultdict(list)
    disputes = {}
    for step in steps.select_related("dispute__payment_intent").order_by("created_at", "id"):
        disputes[step.dispute.reference] = step.dispute
        if taken := step.charged_back_amount + step.excess_amount:
            booked[step.dispute.reference].append(-taken)
    return {
        reference: Explanation(
            type="dispute",
            id=dispute.id,
            currency=dispute.payment_intent.currency,
            booked=tuple(booked[reference]),
            order_id=dispute.order_id,
            payment_intent_id=dispute.payment_intent_id,
        )
        for reference, dispute in disputes.items()
    }
