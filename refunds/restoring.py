"""What an order showed of its refunds at a moment."""

from orders.as_of import Rows, restores
from orders.models import Order
from refunds.models import Refund


@restores
def restore_refunds(order: Order, rows: Rows) -> None:
    """Put on an order the ids of its refunds."""
    order.refund_ids = [refund.id for refund in rows.of(Refund)]
