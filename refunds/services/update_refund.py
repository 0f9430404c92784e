"""Changing what a merchant keeps with a refund."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from flint.actors import Actor
from flint.api.metadata import merge
from flint.events import services as events
from orders.models import Order
from refunds.models import Refund
from refunds.selectors import read_refund


def update_refund(refund_id: str, *, data: Mapping[str, Any], actor: Actor) -> Refund:
    """
    Change the metadata of a refund; what is already so changes nothing.

    :raises RefundNotFound: if it is absent or foreign. :raises InvalidMetadata: beyond the limits of metadata.
    """
    with transaction.atomic():
        order_id = Refund.objects.of(actor).find(id=refund_id).order_id
        order = Order.objects.behind(actor).lock(id=order_id)
        refund = read_refund(refund_id, actor=actor)
        metadata = merge(refund.metadata, data["metadata"])
        if metadata != refund.metadata:
            refund.metadata = metadata
            refund.save(update_fields=["metadata", "updated_at"])
            order.order_revision += 1
            events.record(order, "refund.updated", subject=refund, actor=actor, changed=["metadata"])
            order.save()
    return refund
