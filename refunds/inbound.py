"""What processors tell us about refunds."""

from collections.abc import Callable

from flint.actors import Actor
from payments.inbound import handles
from payments.processors.base import Processor
from payments.services import DoesNotFit
from refunds.services import record_refund


@handles("refund")
def handle_refund(processor: Processor, reference: str, *, actor: Actor, also: Callable[[], None]) -> None:
    """:raises DoesNotFit: if the processor has no such refund, or it was not asked for here."""
    state = processor.retrieve_refund(environment_id=actor.environment_id, reference=reference)
    if state is None:
        raise DoesNotFit(f"the processor has no refund {reference}")
    record_refund(state, actor=actor, also=also)
