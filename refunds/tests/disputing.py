"""What tests of disputes do over and over: a buyer's bank at work, and Flint hearing of it."""

from datetime import datetime
from typing import Any

from flint import actors
from flint.money import Money
from flint.testing.stories import deliver_notices
from orders.models import Order
from payments.processors.base import DisputeState
from payments.processors.sandbox import dashboard
from payments.processors.sandbox.adapter import SandboxProcessor
from payments.tests.acts import reference_of
from refunds.models import Dispute
from refunds.services import disputes

PROCESSOR = SandboxProcessor()


def dispute(order: Order, amount: int | None = None, *, position: int = 0, **options: Any) -> Dispute:
    """Have a payment of an order disputed, for all of it or an amount, and tell Flint."""
    state = open_dispute(order, amount, position=position, **options)
    return told(order, state.reference)


def open_dispute(order: Order, amount: int | None = None, *, position: int = 0, **options: Any) -> DisputeState:
    """Have a payment of an order disputed behind Flint's back."""
    money = Money(amount, order.currency) if amount is not None else None
    return dashboard.open_dispute(
        environment_id=order.environment_id, reference=reference_of(order, position), money=money, **options
    )


def bank(subject: Dispute, act: str, amount: int | None = None, *, tell: bool = True) -> Dispute:
    """Have the bank go on with a dispute: ``withdraw``, ``reinstate``, ``win``, ``lose``, ``escalate``, and so on."""
    money = {} if amount is None else {"money": Money(amount, subject.payment_intent.currency)}
    getattr(dashboard, act)(environment_id=subject.environment_id, reference=subject.reference, **money)
    return told(subject.order, subject.reference) if tell else subject


def told(order: Order, reference: str, *, at: datetime | None = None) -> Dispute:
    """Have every notice that waits delivered and handled; return the dispute as it is then."""
    deliver_notices(order.environment, at=at)
    return Dispute.objects.get(environment_id=order.environment_id, reference=reference)


def heard_of(state: DisputeState) -> Dispute:
    """Have Flint learn of one dispute and of nothing else, as if every other notice were late."""
    actor = actors.processor(state.environment_id, "sandbox")
    found = PROCESSOR.retrieve_dispute(environment_id=state.environment_id, reference=state.reference)
    return disputes.take_in(PROCESSOR, found, actor=actor)


def state_of(order: Order, **changes: Any) -> DisputeState:
    """Describe a dispute of the order's payment as a processor might."""
    told = {
        "reference": "dp_1",
        "status": "needs_response",
        "money": Money(order.total_amount, order.currency),
        "withdrawn_amount": 0,
        "environment_id": order.environment_id,
        "payment_reference": reference_of(order),
        **changes,
    }
    return DisputeState(**told)


def record(order: Order, *, asked_at: datetime | None = None, **changes: Any) -> Dispute:
    """Record a state as it might have been told."""
    actor = actors.processor(order.environment_id, "sandbox")
    return disputes.record_dispute(state_of(order, **changes), actor=actor, asked_at=asked_at)
