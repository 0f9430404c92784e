"""Reading refunds with their legs and allocations, and disputes with what they are about."""

from django.db.models import Prefetch, QuerySet

from flint.actors import Actor
from refunds.models import Dispute, Refund, RefundAllocation, RefundLeg


def readable(actor: Actor) -> QuerySet[Refund]:
    """Return the actor's refunds with legs, allocations and order: four statements for any number of them."""
    allocations = RefundAllocation.objects.order_by("position")
    legs = RefundLeg.objects.order_by("position").prefetch_related(
        Prefetch("allocations", queryset=allocations, to_attr="shown_allocations")
    )
    return (
        Refund.objects.of(actor)
        .select_related("order", "environment")
        .prefetch_related(Prefetch("legs", queryset=legs, to_attr="shown_legs"))
    )


def read_refund(refund_id: str, *, actor: Actor) -> Refund:
    """:raises RefundNotFound: if it is absent or foreign."""
    return readable(actor).find(id=refund_id)


def disputes(actor: Actor) -> QuerySet[Dispute]:
    """Return the actor's disputes with payment, order and customer: one statement for any number of them."""
    return Dispute.objects.of(actor).select_related("payment_intent__order", "order__customer", "environment")
