"""What becomes of the hidden order when the payment that it records came to nothing."""

from datetime import datetime

from flint.actors import Actor
from flint.events import services as events
from orders import ledger
from orders.models import Order
from payments.models import PaymentIntent
from payments.models.intents import S


def write_off(order: Order, leg: PaymentIntent, *, actor: Actor, at: datetime) -> None:
    """
    Close a locked hidden order whose payment was canceled or has expired: nobody owes it any more.

    Should its money come in after all, it is collected beyond what is owed and can be refunded. The caller saves.
    """
    if not order.is_hidden or leg.status not in (S.CANCELED, S.EXPIRED):
        return
    if order.status != "open" or order.is_collecting:
        return
    owed = order.outstanding_money
    order.close(at=at, reason="", written_off=owed)
    event = events.record(order, "order.closed", subject=order, actor=actor, written_off_amount=owed.amount)
    ledger.post(order, event, [ledger.Posting("write_off", owed.amount, order.id)])
