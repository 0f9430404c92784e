"""
Learning what moved on a processor's balance. Lists and payouts all come through :func:`record_movements`: each movement
is stored once, however often and in whatever order it is told, and then booked (``payments.services.bookkeeping``).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.events import services as events
from payments.models import BalanceTransaction, Payout
from payments.processors.base import BalanceTransactionState, DoesNotFit
from payments.services.bookkeeping import book

CHUNK = 100
TOLD_ONCE = ("type", "amount", "fee_amount", "net_amount", "currency")


def record_listed(
    states: Iterable[BalanceTransactionState],
    *,
    processor: str,
    actor: Actor,
    at: datetime,
    payout: Payout | None = None,
) -> int:
    """Record a list of any length in flat memory, as :func:`record_movements`. Return how many there were."""
    count, listed = 0, iter(states)
    while chunk := list(islice(listed, CHUNK)):
        record_movements(chunk, processor=processor, actor=actor, at=at, payout=payout)
        count += len(chunk)
    return count


def record_movements(
    states: Iterable[BalanceTransactionState],
    *,
    processor: str,
    actor: Actor,
    at: datetime | None = None,
    payout: Payout | None = None,
) -> list[BalanceTransaction]:
    """
    Store what is new, take over what went on, and book what can be explained; what is known already changes nothing.
    Return the rows as they were before they were booked.

    ``payout`` is the payout that paid all of them out, when that was asked for.

    :raises DoesNotFit: if a movement does not add up, or is told otherwise than before. Nothing of it all is stored.
    """
    at = at or timezone.now()
    told = {state.reference: state for state in states if _is_ours(state, actor)}
    if not told:
        return []
    with transaction.atomic():
        rows, new = _stored(told, processor, actor)
        _follow(rows, told, new, payout, actor)
    book([row for row in rows if not row.is_explained], processor=processor, actor=actor, at=at)
    return rows


def _is_ours(state: BalanceTransactionState, actor: Actor) -> bool:
    """Tell what is this environment's. Another one may share the processor's account; it records its own."""
    if state.net_amount != state.amount - state.fee_amount:
        raise DoesNotFit(f"{state.reference}: {state.amount} less {state.fee_amount} is not {state.net_amount}")
    return state.environment_id == actor.environment_id


def _stored(
    told: dict[str, BalanceTransactionState], processor: str, actor: Actor
) -> tuple[list[BalanceTransaction], set[str]]:
    """
    Return the locked rows of all that was told, and the ids of those that were made just now.

    Everybody inserts and locks in the same order, so that two who learn the same at once wait and never deadlock.
    """
    made = [
        BalanceTransaction(
            environment_id=actor.environment_id,
            processor=processor,
            reference=reference,
            type=state.type,
            status=state.status,
            amount=state.amount,
            fee_amount=state.fee_amount,
            net_amount=state.net_amount,
            currency=state.currency,
            occurred_at=state.occurred_at,
            available_at=state.available_at,
            source_kind=state.source_kind,
            source_reference=state.source_reference,
            description=state.description,
        )
        for reference, state in sorted(told.items())
    ]
    known = BalanceTransaction.objects.of(actor).filter(processor=processor, reference__in=told)
    already = set(known.values_list("reference", flat=True))
    fresh = [row for row in made if row.reference not in already]
    if fresh:
        BalanceTransaction.objects.bulk_create(fresh, ignore_conflicts=True)
    rows = list(known.select_for_update(of=("self",)).order_by("reference"))
    new = {row.id for row in fresh} & {row.id for row in rows}
    return rows, new


def _follow(
    rows: Sequence[BalanceTransaction],
    told: dict[str, BalanceTransactionState],
    new: set[str],
    payout: Payout | None,
    actor: Actor,
) -> None:
    """Take over what goes on in a movement: when it is available, and what paid it out. Tell what is new."""
    changed = []
    for row in rows:
        state = told[row.reference]
        if different := [name for name in TOLD_ONCE if getattr(row, name) != getattr(state, name)]:
            raise DoesNotFit(f"{row.reference} is told with another {' and '.join(different)} than before")
        before = (row.status, row.available_at, row.payout_id)
        if row.status == "pending" and state.status == "available":
            row.become_available()
        row.available_at = state.available_at or row.available_at
        if payout and not row.payout_id:
            row.payout = payout
        if (row.status, row.available_at, row.payout_id) != before:
            row.updated_at = timezone.now()
            changed.append(row)
    if changed:
        BalanceTransaction.objects.bulk_update(changed, ["status", "available_at", "payout", "updated_at"])
    events.record_all_apart(
        actor.environment_id, "balance_transaction.created", subjects=[r for r in rows if r.id in new], actor=actor
    )
    events.record_all_apart(
        actor.environment_id,
        "balance_transaction.updated",
        subjects=[r for r in changed if r.id not in new],
        actor=actor,
    )
