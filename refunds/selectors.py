"""Reading refunds with their legs and allocations, and disputes with what they are about."""

from django.db.models import Prefetch, Q, QuerySet

from flint.actors import Actor
from invoices.models import CreditNote
from refunds.models import Dispute, Refund, RefundAdjustment, RefundAllocation, RefundLeg


def readable(actor: Actor, *, with_payments: bool = False) -> QuerySet[Refund]:
    """
    Return the actor's refunds with legs, allocations, adjustments, order and customer: a fixed number of statements.

    :param with_payments: with the payments themselves, too.
    """
    payouts = RefundAllocation.objects.select_related("leg").order_by("id")
    adjustments = RefundAdjustment.objects.order_by("position")
    adjustments = adjustments.prefetch_related(Prefetch("payouts", queryset=payouts, to_attr="shown_payouts"))
    allocations = RefundAllocation.objects.order_by("position")
    legs = RefundLeg.objects.order_by("position").prefetch_related(
        Prefetch("allocations", queryset=allocations, to_attr="shown_allocations"),
        Prefetch("adjustments", queryset=adjustments, to_attr="shown_adjustments"),
    )
    if with_payments:
        legs = legs.select_related("payment_intent__order")
    return (
        Refund.objects.of(actor)
        .select_related("order__customer", "environment", "credit_note")
        .prefetch_related(Prefetch("legs", queryset=legs, to_attr="shown_legs"))
    )


def read_refund(refund_id: str, *, actor: Actor, with_payments: bool = False) -> Refund:
    """:raises RefundNotFound: if it is absent or foreign."""
    return readable(actor, with_payments=with_payments).find(id=refund_id)


def of_note(note_id: str, *, actor: Actor) -> QuerySet[Refund]:
    """
    Return the refunds of a credit note, failed ones too.

    :raises CreditNoteNotFound: if the note is absent or foreign.
    """
    note = CreditNote.objects.of(actor).find(id=note_id)
    return readable(actor).filter(credit_note_id=note.id)


def matching(refunds: QuerySet[Refund], term: str) -> QuerySet[Refund]:
    """Keep to the refunds whose id, reference, message, order number or customer's address a search term names."""
    found = (
        Q(id=term)
        | Q(order_id=term, order__is_hidden=False)
        | Q(legs__payment_intent_id=term)
        | Q(external_reference_id=term)
        | Q(order__order_number=term, order__is_hidden=False)
        | Q(order__customer__email__iexact=term)
        | Q(reason_message__icontains=term)
    )
    # As a condition, not a join, so that a refund of several payments stays one row.
    return refunds.filter(id__in=Refund.objects.filter(found).order_by().values("id"))


def disputes(actor: Actor) -> QuerySet[Dispute]:
    """Return the actor's disputes with payment, order and customer: one statement for any number of them."""
    return Dispute.objects.of(actor).select_related("payment_intent__order", "order__customer", "environment")
