"""What processors tell us about refunds and disputes."""

from collections.abc import Callable

from django.utils import timezone

from flint.actors import Actor
from payments.inbound import handles
from payments.processors.base import Processor
from payments.services import DoesNotFit
from refunds.reconciling import keep_what_is_missing
from refunds.services import disputes, take_in_refund


@handles("refund")
def handle_refund(processor: Processor, reference: str, *, actor: Actor, also: Callable[[], None]) -> None:
    """:raises DoesNotFit: if the processor has no such refund, or it is of a payment that is not known here."""
    state = processor.retrieve_refund(environment_id=actor.environment_id, reference=reference)
    if state is None:
        raise DoesNotFit(f"the processor has no refund {reference}")
    taken = take_in_refund(state, processor=processor, actor=actor, also=also)
    if taken.missing:
        keep_what_is_missing(state, taken, processor=processor, environment_id=actor.environment_id)


@handles("dispute")
def handle_dispute(processor: Processor, reference: str, *, actor: Actor, also: Callable[[], None]) -> None:
    """:raises DoesNotFit: if the processor has no such dispute, or it is of no payment of ours."""
    asked_at = timezone.now()
    state = processor.retrieve_dispute(environment_id=actor.environment_id, reference=reference)
    if state is None:
        raise DoesNotFit(f"the processor has no dispute {reference}")
    disputes.take_in(processor, state, actor=actor, asked_at=asked_at, also=also)
