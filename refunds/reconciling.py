"""Comparing refunds and disputes at the processor with ours, and ours that moved money with the processor's."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from flint.money import Money
from payments.processors.base import DisputeState, Processor, RefundState
from payments.reconciling.comparing import Comparison, Look, reconciles
from payments.reconciling.differences import Found, keep
from refunds.models import Dispute, RefundLeg
from refunds.services import disputes
from refunds.services.importing import TakenIn, take_in_refund


@reconciles("refund")
class RefundComparison(Comparison):
    """A refund is ours by the operation id in its metadata, otherwise by the processor's name for it, once imported."""

    def listed(self, look: Look, *, until: datetime) -> Iterator[RefundState]:
        return look.processor.list_refunds(environment_id=look.environment_id, since=look.since, until=until)

    def retrieve(self, look: Look, reference: str) -> RefundState | None:
        return look.processor.retrieve_refund(environment_id=look.environment_id, reference=reference)

    def ours(self, look: Look) -> QuerySet[RefundLeg]:
        return RefundLeg.objects.of(look.actor).filter(
            status="succeeded",
            payment_intent__processor=look.processor.name,
            created_at__gte=look.since,
            created_at__lt=look.until,
        )

    def absent(self, row: RefundLeg, look: Look) -> None:
        look.differs(
            row.reference or row.id,
            "missing_there",
            "The processor has no such refund, although it is booked here as done.",
            ours=row.money,
            order_id=row.order_id,
        )

    def compare(self, states: Sequence[RefundState], look: Look) -> None:
        legs = _legs(states, look)
        changed = [state for state in states if not _agrees(legs.get(state.reference, []), state)]
        fresh = [state for state in (self._taken_in(state, look) for state in changed) if state]
        legs = _legs(fresh, look) if fresh else {}
        for state in fresh:
            _tell_what_is_left(legs.get(state.reference, []), state, look)

    def _taken_in(self, state: RefundState, look: Look) -> RefundState | None:
        """Import what a refund that differs shows now. Return that state, or None if it fits nothing."""
        now: list[RefundState] = []

        def record() -> bool:
            # Asked for once more: the list may be older than what was booked here in the meantime.
            found = self.retrieve(look, state.reference)
            if found is None:
                return False
            taken = take_in_refund(found, processor=look.processor, actor=look.actor, at=look.at)
            if taken.missing:
                look.differs(**_missing(found, taken))
            now.append(found)
            return taken.is_change

        return now[0] if look.learn(state.reference, record, theirs=state.money) and now else None


def keep_what_is_missing(state: RefundState, taken: TakenIn, *, processor: Processor, environment_id: str) -> None:
    """Put on the work list what a notice told of a refund beyond what can be booked."""
    found = Found(**_missing(state, taken))
    keep(
        environment_id=environment_id,
        processor=processor.name,
        kind="refund",
        looked_at=[state.reference],
        found=[found],
    )


def _missing(state: RefundState, taken: TakenIn) -> dict:
    return {
        "reference": state.reference,
        "problem": "exceeds_refundable",
        "text": "More was given back at the processor than may be given back here; the rest is not booked.",
        "ours": taken.booked or Money(0, state.money.currency),
        "theirs": state.money,
        "order_id": taken.order_id,
    }


def _tell_what_is_left(legs: Sequence[RefundLeg], state: RefundState, look: Look) -> None:
    """Name a refund that went one way there and another way here, which no later word can settle."""
    if legs and {leg.status for leg in legs} != {state.status}:
        done = sum(leg.amount for leg in legs if leg.status == "succeeded")
        look.differs(
            state.reference,
            "status",
            f"The refund is {state.status} at the processor and {legs[0].status} here.",
            ours=Money(done, legs[0].currency),
            theirs=state.money,
            order_id=legs[0].order_id,
        )


def _legs(states: Sequence[RefundState], look: Look) -> dict[str, list[RefundLeg]]:
    """Return the legs of refunds by the processor's name for them."""
    references = [state.reference for state in states]
    found: dict[str, list[RefundLeg]] = {}
    for leg in RefundLeg.objects.of(look.actor).filter(reference__in=references).order_by("id"):
        found.setdefault(leg.reference, []).append(leg)
    return found


def _agrees(legs: Sequence[RefundLeg], state: RefundState) -> bool:
    if not legs:
        # What never gave anything back, and is not ours, is nobody's business.
        return state.status in ("failed", "canceled") and not state.operation_id
    return (
        state.environment_id == legs[0].environment_id
        and {leg.status for leg in legs} == {state.status}
        and sum(leg.amount for leg in legs) == state.money.amount
        and legs[0].currency == state.money.currency
        and (not state.operation_id or state.operation_id == legs[0].id)
    )


@reconciles("dispute")
class DisputeComparison(Comparison):
    """A dispute has no id of ours; it is of a payment of ours, or nobody's business here."""

    def listed(self, look: Look, *, until: datetime) -> Iterator[DisputeState]:
        return look.processor.list_disputes(environment_id=look.environment_id, since=look.since, until=until)

    def retrieve(self, look: Look, reference: str) -> DisputeState | None:
        return look.processor.retrieve_dispute(environment_id=look.environment_id, reference=reference)

    def ours(self, look: Look) -> QuerySet[Dispute]:
        return Dispute.objects.of(look.actor).filter(
            withdrawn_amount__gt=0,
            payment_intent__processor=look.processor.name,
            opened_at__gte=look.since,
            opened_at__lt=look.until,
        )

    def absent(self, row: Dispute, look: Look) -> None:
        look.differs(
            row.reference,
            "missing_there",
            "The processor has no such dispute, although money is booked here as withdrawn for it.",
            ours=Money(row.withdrawn_amount, row.payment_intent.currency),
            order_id=row.order_id,
        )

    def compare(self, states: Sequence[DisputeState], look: Look) -> None:
        rows = Dispute.objects.of(look.actor).filter(reference__in=[state.reference for state in states])
        known = {row.reference: row for row in rows}
        for state in states:
            row = known.get(state.reference)
            if row is None or (row.status, row.withdrawn_amount) != (state.status, state.withdrawn_amount):
                self._take_in(state, look)

    def _take_in(self, state: DisputeState, look: Look) -> None:
        def record() -> bool:
            # Asked for once more, and dated before the asking, so that an old list never undoes a newer fact.
            asked_at = timezone.now()
            now = self.retrieve(look, state.reference)
            if now is None:
                return False
            before = Dispute.objects.of(look.actor).filter(reference=now.reference).order_by("id").first()
            after = disputes.take_in(look.processor, now, actor=look.actor, at=look.at, asked_at=asked_at)
            return before is None or (before.status, before.withdrawn_amount) != (after.status, after.withdrawn_amount)

        look.learn(state.reference, record, theirs=state.money)
