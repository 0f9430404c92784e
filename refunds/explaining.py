"""What is behind a movement of a processor's balance that a refund caused: what its ledger entries say."""

from collections import defaultdict
from collections.abc import Collection

from orders.models import LedgerEntry
from payments.explaining import Explanation, explains
from refunds.models import RefundLeg

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
