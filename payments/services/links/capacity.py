"""
How often a link may be paid. A payment claims one of its completions before any processor is called, so that who comes
too late is told so and never charged; a payment that came to nothing gives it back.

Everything here happens under the order's lock, and takes the link's after it.
"""

from orders.models import Order
from orders.models.orders import Origin
from payments.models import PaymentLink, PaymentLinkOrder
from payments.models.links import L

CLAIM_FAILED = "payment_link_capacity_claim_failed"
CLAIM_FAILED_MESSAGE = "The payment link has been paid as often as it may be. Nothing was charged."


def claim_completion(order: Order) -> bool:
    """
    Claim one of the completions of the link that made a locked order; return whether there was one left.

    An order that came from no link, or has its claim already, needs none.
    """
    made = _made_by_link(order)
    if made is None or made.status != L.OPEN:
        return True
    link = PaymentLink.objects.select_for_update(of=("self",)).get(id=made.link_id)
    if link.max_completions is not None:
        claimed = PaymentLinkOrder.objects.filter(link_id=link.id, status=L.CLAIMED).count()
        if link.completed_count + claimed >= link.max_completions:
            return False
    made.claim()
    made.save(update_fields=["status", "updated_at"])
    return True


def release_completion(order: Order) -> None:
    """Give back the claim of a locked order on which no payment is under way any more and nothing was collected."""
    if order.has_settled:
        return
    made = _made_by_link(order)
    if made is not None and made.status == L.CLAIMED:
        made.release()
        made.save(update_fields=["status", "updated_at"])


def count_completion(order: Order) -> None:
    """
    Count a locked order on its link once nothing is owed on it; ever after it is counted already.

    Money that comes in although the payment was given up is counted as well, even beyond what the link allows.
    """
    if order.outstanding_amount:
        return
    made = _made_by_link(order)
    if made is None or made.status == L.COMPLETED:
        return
    link = PaymentLink.objects.select_for_update(of=("self",)).get(id=made.link_id)
    link.completed_count += 1
    link.save(update_fields=["completed_count"])
    made.complete()
    made.save(update_fields=["status", "updated_at"])


def _made_by_link(order: Order) -> PaymentLinkOrder | None:
    if order.origin != Origin.PAYMENT_LINK:
        return None
    return PaymentLinkOrder.objects.filter(order_id=order.id).order_by("id").first()
