"""Ending a sale."""

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from orders import collecting, ledger
from orders.models import Order
from orders.services import pricing
from orders.services.editing import Edit


class OrderAlreadyClosed(Conflict):
    code = "ORDER_ALREADY_CLOSED"
    message = "The order is closed already."


def close_order(*, order_id: str, reason: str = "", actor: Actor) -> Order:
    """
    Close an open order: pending discounts lapse, what is still owed is written off, nothing more can be collected.

    :raises OrderNotFound: if it is absent or foreign. :raises OrderAlreadyClosed: if it was closed before.
    :raises OrderPaymentAttemptActive: if a payment is in progress. :raises InvoiceLockedOrderFinancials: if an invoice
        asks for its money: void it or write it off first.
    """
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        if order.status != "open":
            raise OrderAlreadyClosed(current_status=order.status)
        collecting.refuse_while_collecting(order)
        collecting.refuse_under_invoice(order)
        edit = Edit(order, pricing.load(order), actor)
        for discount in edit.parts.discounts:
            if discount.status == "pending":
                discount.cancel()
        pricing.reprice(order, edit.parts)
        owed = order.outstanding_money
        order.close(at=timezone.now(), reason=reason, written_off=owed)
        edit.tell("order.closed", written_off_amount=owed.amount)
        edit.commit(ledger.Posting("write_off", owed.amount, order.id))
    return order
