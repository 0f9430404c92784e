"""What is behind the movements of a processor's balance that refunds and disputes caused."""

from collections import defaultdict
from collections.abc import Collection

from orders.models import LedgerEntry
from payments.explaining import Explanation, explains
from refunds.models import Dispute, DisputeMovement, RefundLeg

SIGNS = {"refund": -1, "refund_reversed": 1}


@explains("refund")
def explain_refunds(environment_id: str, processor: str, references: Collection[str]) -> dict[str, Explanation]:
    """
    Two statements, whatever the number of references.

    A refund found at the processor may have been booked in parts, by several legs; all of them count for it.
    """
    found = RefundLeg.objects.filter(
        environment_id=environment_id, reference__in=references, payment_intent__processor=processor
    )
    legs = {leg.id: leg for leg in found.order_by("id")}
    booked = defaultdict(list)
    for entry in LedgerEntry.objects.filter(kind__in=SIGNS, source_id__in=legs).order_by("id"):
        booked[legs[entry.source_id].reference].append(SIGNS[entry.kind] * entry.amount)
    return {
        leg.reference: Explanation(
            type="refund",
            id=leg.refund_id,
            currency=leg.currency,
            booked=tuple(booked[leg.reference]),
            order_id=leg.order_id,
            payment_intent_id=leg.payment_intent_id,
        )
        for leg in legs.values()
    }


@explains("dispute")
def explain_disputes(environment_id: str, processor: str, references: Collection[str]) -> dict[str, Explanation]:
    """
    What was withdrawn and given back, step by step, whether or not the order still held as much.

    One that was first heard of when its money was back already has no steps, and explains its movements all the same.
    """
    found = Dispute.objects.filter(
        environment_id=environment_id, reference__in=references, payment_intent__processor=processor
    )
    disputes = {dispute.id: dispute for dispute in found.select_related("payment_intent").order_by("id")}
    booked = defaultdict(list)
    for step in DisputeMovement.objects.filter(dispute_id__in=disputes).order_by("created_at", "id"):
        if taken := step.charged_back_amount + step.excess_amount:
            booked[step.dispute_id].append(-taken)
    return {
        dispute.reference: Explanation(
            type="dispute",
            id=dispute.id,
            currency=dispute.payment_intent.currency,
            booked=tuple(booked[dispute.id]),
            order_id=dispute.order_id,
            payment_intent_id=dispute.payment_intent_id,
        )
        for dispute in disputes.values()
    }
