"""Comparing payouts: every payout at the processor with ours, and every one of ours that left with the processor's."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import QuerySet

from payments.models import Payout
from payments.processors.base import PayoutState
from payments.reconciling.comparing import Comparison, Look, reconciles
from payments.services.payouts import record_payout


@reconciles("payout")
class PayoutComparison(Comparison):
    """A payout has no id of ours: it is known by the processor's name for it, and every one of the account is ours."""

    def listed(self, look: Look, *, until: datetime) -> Iterator[PayoutState]:
        return look.processor.list_payouts(environment_id=look.environment_id, since=look.since, until=until)

    def retrieve(self, look: Look, reference: str) -> PayoutState | None:
        return look.processor.retrieve_payout(environment_id=look.environment_id, reference=reference)

    def ours(self, look: Look) -> QuerySet[Payout]:
        # One that failed or was called back left nothing behind.
        return _payouts(look).filter(
            status__in=("pending", "in_transit", "paid"), made_at__gte=look.since, made_at__lt=look.until
        )

    def absent(self, row: Payout, look: Look) -> None:
        look.differs(
            row.reference,
            "missing_there",
            "The processor has no such payout, although it is known here as paid out.",
            ours=row.money,
        )

    def compare(self, states: Sequence[PayoutState], look: Look) -> None:
        rows = _by_reference(states, look)
        for state in states:
            row = rows.get(state.reference)
            if row is not None and row.money != state.money:
                _tell_amounts(row, state, look)
            elif row is None or row.status != state.status:
                self._take_in(state, look)

    def _take_in(self, state: PayoutState, look: Look) -> None:
        """Import what a payout that differs shows now, and name what lies behind us: no later word can settle it."""

        def record() -> bool:
            # Asked for once more: the list may be older than what was learned here in the meantime.
            now = self.retrieve(look, state.reference)
            if now is None:
                return False
            before = _payouts(look).filter(reference=now.reference).values_list("status", flat=True).first()
            after = record_payout(now, processor=look.processor.name, actor=look.actor, at=look.at)
            if after.status != now.status:
                _tell_status(after, now, look)
            return before != after.status

        look.learn(state.reference, record, theirs=state.money)


def _payouts(look: Look) -> QuerySet[Payout]:
    return Payout.objects.of(look.actor).filter(processor=look.processor.name)


def _by_reference(states: Sequence[PayoutState], look: Look) -> dict[str, Payout]:
    rows = _payouts(look).filter(reference__in=[state.reference for state in states])
    return {row.reference: row for row in rows}


def _tell_amounts(row: Payout, state: PayoutState, look: Look) -> None:
    look.differs(
        row.reference,
        "amount",
        "The payout is of another amount at the processor than it was told with before.",
        ours=row.money,
        theirs=state.money,
    )


def _tell_status(row: Payout, state: PayoutState, look: Look) -> None:
    look.differs(
        row.reference,
        "status",
        f"The payout is {state.status} at the processor and {row.status} here.",
        ours=row.money,
        theirs=state.money,
    )
