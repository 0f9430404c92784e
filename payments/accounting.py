"""What the rows of payments say has come in, for the explanation of an order."""

from collections.abc import Iterator

from orders.explaining import Claim, accounts_for
from orders.models import Order
from payments.models import PaymentOperation


@accounts_for
def account_for_payments(order: Order) -> Iterator[Claim]:
    """Tell what came in through each try: one statement."""
    tries = PaymentOperation.objects.filter(payment_intent__order_id=order.id, kind="confirm", captured_amount__gt=0)
    for operation in tries.order_by("created_at", "id"):
        yield Claim("paid", operation.captured_amount, "payment_intent", operation.payment_intent_id, operation.id)
