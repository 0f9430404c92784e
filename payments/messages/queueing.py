"""When the buyer of an order is written to about its payment, and in which language."""

from flint.messages.muting import is_muted
from flint.messages.outbox import knows_language, queue
from orders.contacts import address_on_file
from orders.models import Order
from payments.models import CheckoutSession, PaymentAttempt, PaymentIntent, PaymentOperation


def queue_receipt(order: Order, operation: PaymentOperation) -> None:
    """Tell the buyer of a locked order that it is paid, once the payment that did it has settled."""
    if order.payment_status != "paid":
        return
    recipient = address_on_file(order)
    if recipient and not is_muted(order.environment_id, "receipt"):
        queue(order, "receipt", source_id=operation.id, recipient=recipient)


def queue_late_failure(order: Order, leg: PaymentIntent, operation: PaymentOperation) -> None:
    """Tell the buyer that a bank debit did not bring the money after all; they have left the page long ago."""
    if leg.source_type != "ach_debit":
        return
    recipient = address_on_file(order)
    if recipient and not is_muted(order.environment_id, "payment_failed"):
        queue(order, "payment_failed", source_id=operation.id, recipient=recipient)


def address_typed(order: Order) -> str:
    """Return the address on file, else the one that was last typed into a checkout of the order: for staff to check."""
    if found := address_on_file(order):
        return found
    sessions = CheckoutSession.objects.filter(order_id=order.id).exclude(contact_email="")
    return sessions.order_by("-created_at", "-id").values_list("contact_email", flat=True).first() or ""


@knows_language
def language_of_buyer(order: Order) -> str:
    """Return the locale that the buyer last paid in, or looked at the page in."""
    paid_in = PaymentAttempt.objects.filter(order_id=order.id, checkout_session__locale__gt="")
    found = paid_in.order_by("-created_at", "-id").values_list("checkout_session__locale", flat=True).first()
    if not found:
        looked_at = CheckoutSession.objects.filter(order_id=order.id, locale__gt="")
        found = looked_at.order_by("-created_at", "-id").values_list("locale", flat=True).first()
    return found or ""
