"""Comparing payments: every payment at the processor with the try that made it, and every try that brought money."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from flint.money import Money
from payments.models import PaymentOperation
from payments.processors.base import PaymentState
from payments.reconciling.comparing import Comparison, Look, reconciles
from payments.services.recording import record_payment


@reconciles("payment")
class PaymentComparison(Comparison):
    """
    A try is its payment's by our operation id in the metadata, which is believed only if the ids around it fit.

    What is listed is compared without asking; whatever differs is asked for once more before it is recorded, so that a
    list that was read before somebody booked the fact here can never undo it.
    """

    def listed(self, look: Look, *, until: datetime) -> Iterator[PaymentState]:
        return look.processor.list_payments(environment_id=look.environment_id, since=look.since, until=until)

    def retrieve(self, look: Look, reference: str) -> PaymentState | None:
        return look.processor.retrieve_payment(environment_id=look.environment_id, reference=reference)

    def ours(self, look: Look) -> QuerySet[PaymentOperation]:
        has_money = Q(captured_amount__gt=0) | Q(result="requires_capture", payment_intent__status="requires_capture")
        return (
            PaymentOperation.objects.of(look.actor)
            .filter(has_money, kind="confirm", payment_intent__processor=look.processor.name)
            .filter(created_at__gte=look.since, created_at__lt=look.until)
            .select_related("payment_intent")
        )

    def absent(self, row: PaymentOperation, look: Look) -> None:
        look.differs(
            row.reference,
            "missing_there",
            "The processor has no such payment, although money was booked for it here.",
            ours=Money(row.captured_amount, row.currency) if row.captured_amount else row.money,
            order_id=row.payment_intent.order_id,
        )

    def compare(self, states: Sequence[PaymentState], look: Look) -> None:
        tries = _tries(states, look)
        changed = [state for state in states if not _agrees(tries.get(state.operation_id), state)]
        fresh = [state for state in (self._learned(state, tries, look) for state in changed) if state]
        if fresh:
            tries |= _tries(fresh, look)
        by_reference = {state.reference: state for state in fresh}
        for state in states:
            state = by_reference.get(state.reference, state)
            if operation := tries.get(state.operation_id):
                _tell_what_is_left(operation, state, look)

    def _learned(self, state: PaymentState, tries: dict[str, PaymentOperation], look: Look) -> PaymentState | None:
        """Import what a payment that differs shows now. Return that state, or None if it is not one of ours."""
        if state.operation_id not in tries:
            _tell_stranger(state, look)
            return None
        now: list[PaymentState] = []

        def record() -> bool:
            found = self.retrieve(look, state.reference)
            if found is None:
                return False
            before = tries[state.operation_id]
            after = record_payment(found, actor=look.actor, at=look.at)
            now.append(found)
            return (before.captured_amount, before.result) != (after.captured_amount, after.result)

        return now[0] if look.learn(state.reference, record, theirs=_money_in(state)) and now else None


def _tries(states: Sequence[PaymentState], look: Look) -> dict[str, PaymentOperation]:
    ids = [state.operation_id for state in states if state.operation_id]
    rows = PaymentOperation.objects.of(look.actor).filter(id__in=ids, kind="confirm").select_related("payment_intent")
    return {row.id: row for row in rows}


def _agrees(operation: PaymentOperation | None, state: PaymentState) -> bool:
    """Whether a payment needs no second look: it is as we know it, and the money too."""
    if operation is None:
        # Without money on either side it is somebody else's business.
        return not _money_in(state)
    return (
        operation.reference == state.reference
        and operation.payment_intent_id == state.payment_intent_id
        and operation.environment_id == state.environment_id
        and operation.currency == state.money.currency
        and operation.result == state.status
        and operation.captured_amount == state.captured_amount
        and not operation.is_unanswered
    )


def _money_in(state: PaymentState) -> Money | None:
    """Return what a payment took, or holds."""
    held = state.authorized_amount if state.status == "requires_capture" else 0
    amount = state.captured_amount or held
    return Money(amount, state.money.currency) if amount else None


def _tell_stranger(state: PaymentState, look: Look) -> None:
    if state.environment_id and state.environment_id != look.environment_id:
        text = f"The payment names another environment, {state.environment_id}: its own ids, or its keys, are mixed up."
        problem = "other_environment"
    elif state.operation_id:
        text = f"The payment names an operation that is not known here, {state.operation_id}."
        problem = "unknown_operation"
    else:
        text = "The payment carries no id of ours: it was made at the processor, or by somebody else's system."
        problem = "not_ours"
    look.differs(state.reference, problem, text, theirs=_money_in(state))


def _tell_what_is_left(operation: PaymentOperation, state: PaymentState, look: Look) -> None:
    """Name what recording could not settle: less money there than here, or another amount than was asked for."""
    leg = operation.payment_intent
    if operation.reference != state.reference or operation.currency != state.money.currency:
        return
    if state.captured_amount != operation.captured_amount:
        look.differs(
            state.reference,
            "captured_amount",
            "The processor shows another amount as captured than is booked here.",
            ours=Money(operation.captured_amount, operation.currency),
            theirs=Money(state.captured_amount, state.money.currency),
            order_id=leg.order_id,
        )
    elif state.money != operation.money:
        look.differs(
            state.reference,
            "amount",
            "The payment was made over another amount than was asked for.",
            ours=operation.money,
            theirs=state.money,
            order_id=leg.order_id,
        )
    elif state.status == "requires_capture" and leg.status != "requires_capture":
        look.differs(
            state.reference,
            "stray_hold",
            "The processor holds money that nobody here waits for any more. It is being let go.",
            theirs=_money_in(state),
            order_id=leg.order_id,
        )
