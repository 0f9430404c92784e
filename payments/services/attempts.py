"""What a payment attempt has come to, which follows from its legs and from nothing else."""

from datetime import datetime, timedelta

from orders.models import Order
from payments.models import PaymentAttempt, PaymentOperation
from payments.models.attempts import A
from payments.services.links.capacity import release_completion

FIRST_CHECK_AFTER = timedelta(seconds=15)
"""How long an answer may take before the sweep asks for it."""

SLOWEST_CHECK = timedelta(hours=1)


def confirms_of(attempt: PaymentAttempt) -> list[PaymentOperation]:
    """Return the attempt's tries with their legs, in order: one statement."""
    return list(attempt.operations.filter(kind="confirm").select_related("payment_intent").order_by("created_at", "id"))


def leg_status(operation: PaymentOperation) -> str:
    """
    Return how the leg stands in the attempt of this operation.

    A declined leg may be tried again in a later attempt; for this one it stays declined, unless its money comes in
    after all. A leg that an earlier try paid is not done with here while this try may still bring money.
    """
    leg = operation.payment_intent
    if operation.captured_amount:
        return "succeeded"
    if operation.error_code or operation.result == "requires_payment_method":
        return "requires_payment_method"
    if operation.is_unanswered or (leg.status == "succeeded" and operation.result == "processing"):
        return "processing"
    return leg.status


def status_of(operations: list[PaymentOperation]) -> str:
    """
    Work out an attempt's status from its tries.

    While a leg is under way the attempt is; then a hold waits for its capture; the rest is an end.
    """
    statuses = {leg_status(operation) for operation in operations}
    for waiting, status in (
        ("processing", A.PROCESSING),
        ("requires_action", A.REQUIRES_ACTION),
        ("requires_capture", A.REQUIRES_CAPTURE),
    ):
        if waiting in statuses:
            return status
    if statuses == {"succeeded"}:
        return A.SUCCEEDED
    if "succeeded" in statuses:
        return A.PARTIALLY_SUCCEEDED
    if "requires_payment_method" in statuses:
        return A.FAILED
    return A.EXPIRED if statuses == {"expired"} else A.CANCELED


def reassess(order: Order, attempt: PaymentAttempt | None, *, at: datetime) -> None:
    """
    Give a locked order's attempt the status that follows from its legs, and let the order go once it has ended.

    The caller saves the order.
    """
    if attempt is None:
        return
    operations = confirms_of(attempt)
    status = status_of(operations)
    if status == attempt.status:
        _plan_check(attempt, at)
        return
    failed = next((operation for operation in operations if operation.error_code), None)
    code, message = "", ""
    if status in (A.FAILED, A.PARTIALLY_SUCCEEDED) and failed:
        code, message = failed.error_code, failed.error_message
    elif status == A.CANCELED:
        held = any(operation.payment_intent.authorized_amount for operation in operations)
        code = "payment_authorization_canceled" if held else "payment_attempt_canceled"
    elif status == A.EXPIRED:
        code = "payment_authorization_expired"
    was_open = attempt.is_open
    attempt.become(status=status, at=at, failure_code=code, failure_message=message)
    if attempt.is_open:
        if not was_open:
            raise RuntimeError(f"{attempt.id} would open again as {status}, but another may have begun since")
        _plan_check(attempt, at)
    elif was_open:
        order.active_attempt_id = ""
        release_completion(order)
    attempt.save()


def _plan_check(attempt: PaymentAttempt, at: datetime) -> None:
    """Set when the sweep looks again: soon at first, then ever later."""
    if not attempt.is_open:
        return
    attempt.checks += 1
    attempt.next_check_at = at + min(FIRST_CHECK_AFTER * 2 ** min(attempt.checks, 12), SLOWEST_CHECK)
    attempt.save(update_fields=["checks", "next_check_at", "updated_at"])
