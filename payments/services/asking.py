"""
Asking a processor what became of a payment: after a lost answer, before a refusal, and in the sweep.

Only questions are asked here. What is unknown is never repeated to find out.
"""

from datetime import datetime, timedelta

from django.utils import timezone

from flint.actors import Actor
from payments.models import PaymentAttempt, PaymentIntent, PaymentOperation
from payments.processors import processor_of
from payments.processors.base import PaymentState, ProcessorError
from payments.services.recording import record_payment, record_refusal

UNKNOWN_DEADLINE = timedelta(minutes=10)
"""How long a call that the processor knows nothing of may still be on its way to it."""


def ask_about_attempt(attempt_id: str, *, actor: Actor, at: datetime | None = None) -> None:
    """
    Bring an attempt's legs to what the processor says of them now.

    A processor that cannot be asked leaves everything as it is.
    """
    attempt = PaymentAttempt.objects.of(actor).find(id=attempt_id)
    for operation in attempt.operations.filter(kind="confirm").select_related("payment_intent").order_by("created_at"):
        if operation.result not in ("requires_payment_method", "refused", "succeeded", "canceled"):
            ask_about_operation(operation, actor=actor, at=at)


def ask_about_operation(operation: PaymentOperation, *, actor: Actor, at: datetime | None = None) -> None:
    """Ask what a call came to and record it; a call that never arrived is given up once its deadline has passed."""
    at = at or timezone.now()
    try:
        state = _state_of(operation)
    except ProcessorError:
        return
    if state is not None:
        record_payment(state, actor=actor, at=at)
    if at - operation.created_at < UNKNOWN_DEADLINE:
        return
    # The processor shows no trace of the call, and it can no longer be on its way.
    if operation.kind != "confirm":
        record_refusal(operation.id, code="invalid_state", message="It was not carried out.", actor=actor, at=at)
    elif state is None:
        record_refusal(
            operation.id,
            code="payment_confirm_outcome_unknown",
            message="The payment processor has no record of this payment. Nothing was charged; try again.",
            actor=actor,
            at=at,
        )


def _state_of(operation: PaymentOperation) -> PaymentState | None:
    processor = processor_of(operation.payment_intent.processor)
    confirm = payment_behind(operation)
    if confirm.reference:
        return processor.retrieve_payment(environment_id=operation.environment_id, reference=confirm.reference)
    return processor.find_payment(
        environment_id=operation.environment_id, operation_id=confirm.id, since=confirm.created_at
    )


def payment_behind(operation: PaymentOperation) -> PaymentOperation:
    """Return the confirm that made the payment which an operation is about: itself, or the leg's newest one."""
    return operation if operation.kind == "confirm" else newest_confirm(operation.payment_intent)


def newest_confirm(leg: PaymentIntent) -> PaymentOperation:
    """Return the try that speaks for a leg."""
    return leg.operations.filter(kind="confirm").select_related("payment_intent").order_by("-position")[0]
