"""What payments tell about an order: its attempt in progress, as error facts."""

from typing import Any

from orders.collecting import describes_active_attempt
from orders.models import Order
from payments.models import PaymentAttempt
from payments.services.attempts import confirms_of


def is_resumable(attempt: PaymentAttempt) -> bool:
    """
    Whether ``resume`` can move an attempt on: the buyer's step is done, or its outcome is still unknown.

    Looks at the tries that the attempt carries, or reads them. A bank debit under way and a hold that waits for its
    capture are open, but nothing a buyer does moves them.
    """
    if attempt.status == "requires_action":
        return True
    if attempt.status != "processing":
        return False
    tries = attempt.tries if "tries" in attempt.__dict__ else confirms_of(attempt)
    return any(operation.is_unanswered for operation in tries)


@describes_active_attempt
def attempt_facts(order: Order) -> dict[str, Any]:
    """Return the facts of an order's open attempt for a refusal."""
    attempt = PaymentAttempt.objects.get(id=order.active_attempt_id)
    return {
        "payment_attempt_status": attempt.status,
        "is_resumable": is_resumable(attempt),
        "blocking_resources": [
            {"resource_type": "order_payment_attempt", "resource_id": attempt.id, "status": attempt.status}
        ],
        "blocking_resource_count": 1,
    }
